"""Writes docs/ops.md: which operators of ONNX run on which device in which types, as tests found.

  write_ops_page.py            runs the cases on the CPU, writes the page
  write_ops_page.py --check    fails when the page is another than the one it would write
  write_ops_page.py --pack DIR writes one case of each operator and type, for a machine with a GPU:
                               there, `python3 DIR/run_cases.py PROGRAM RESULT` (NumPy alone) runs
                               them on both devices with the program `carnot`
  write_ops_page.py --gpu RESULT  keeps such a result in docs/ops_cuda.json, writes the page
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "python"))

import numpy as np  # noqa: E402
import onnx  # noqa: E402

import carnot  # noqa: E402
import onnx_cases  # noqa: E402
import retyped  # noqa: E402

PAGE = ROOT / "docs" / "ops.md"
GPU = ROOT / "docs" / "ops_cuda.json"
SHORT = {"FLOAT": "f32", "DOUBLE": "f64", "FLOAT16": "f16", "BFLOAT16": "bf16", "BOOL": "bool",
         "COMPLEX64": "c64", "COMPLEX128": "c128", "FLOAT8E4M3FN": "f8e4m3",
         "FLOAT8E4M3FNUZ": "f8e4m3z", "FLOAT8E5M2": "f8e5m2", "FLOAT8E5M2FNUZ": "f8e5m2z",
         "FLOAT8E8M0": "f8e8m0", "FLOAT4E2M1": "f4"}
ORDER = ["f64", "f32", "f16", "bf16", "f8e4m3", "f8e4m3z", "f8e5m2", "f8e5m2z", "f8e8m0", "f4"]


def short(data_type: int) -> str:
    name = onnx.TensorProto.DataType.Name(data_type)
    return SHORT.get(name, name.lower().replace("uint", "u").replace("int", "i"))


def operator_of(model: onnx.ModelProto) -> str | None:
    """That of a model of one node, with its domain."""
    nodes = model.graph.node
    if len(nodes) != 1 or model.functions:
        return None
    return f"{nodes[0].domain}.{nodes[0].op_type}".removeprefix(".")


def type_of(model: onnx.ModelProto) -> str:
    """The elements of the first input that the node names, else of the first output."""
    for value in [*model.graph.input, *model.graph.output]:
        kind = value.type
        while kind.WhichOneof("value") in ("sequence_type", "optional_type"):
            kind = getattr(kind, kind.WhichOneof("value")).elem_type
        if kind.tensor_type.elem_type:
            return short(kind.tensor_type.elem_type)
    return "?"


def models():
    """(operator, type, model, inputs' arrays, case or None) of every case of one node."""
    for case in onnx_cases.load_cases():
        model, feeds = onnx_cases.model_and_feeds(case)
        if operator := operator_of(model):
            yield operator, type_of(model), model, feeds, case


def is_like_the_suite(model: onnx.ModelProto, feeds: dict, case) -> bool:
    """Whether the oracle of retyped.py gives what the suite expects of the case as it is."""
    try:
        has = retyped.evaluate(model, list(feeds.values()))
    except Exception:  # noqa: BLE001: the reference lacks the operator, or fails in its own ways
        return False
    return all(onnx_cases.same(a, b, case[2], case[3])
               for a, b in zip(has, onnx_cases.expected(case), strict=True))


def retyped_models(results: dict[str, tuple[str, str]]):
    """(operator, type, model, inputs' arrays, expected) of every type that an operator of onnx allows
    its first input, of the first case that an oracle knows; expected: None of random numbers."""
    of_operator: dict[str, list] = collections.defaultdict(list)
    for operator, _, model, feeds, case in models():
        if results[case[0]][0] == "pass" and retyped.kinds_of(model):
            of_operator[operator].append((model, feeds, case))
    for operator, cases in of_operator.items():
        trusted: dict[int, bool] = {}
        for kind in sorted({kind for model, _, _ in cases for kind in retyped.kinds_of(model)}):
            for i, (model, feeds, case) in enumerate(cases):
                random = case[0].startswith(onnx_cases.RANDOM)
                if i not in trusted:
                    trusted[i] = random or is_like_the_suite(model, feeds, case)
                changed = trusted[i] and retyped.retyped(model, list(feeds.values()), kind)
                if not changed:
                    continue
                try:
                    wanted = None if random else retyped.reference(*changed, kind)
                except Exception:  # noqa: BLE001: not of this type
                    continue
                yield operator, short(kind), changed[0], dict(zip(feeds, changed[1])), wanted
                break


def run_retyped(results: dict[str, tuple[str, str]]) -> list[tuple[str, str, str]]:
    """(operator, type, "pass", "refused: " and why, or what is wrong)."""
    statuses = []
    for operator, kind, model, feeds, wanted in retyped_models(results):
        try:
            engine = carnot.build(model.SerializeToString(), threads=1, optimization_level=0)
            has = list(engine.run(feeds).values())
            status = "pass" if wanted is None else retyped.apart(has, wanted, model) or "pass"
        except carnot.Error as error:
            text = str(error)
            status = f"refused: {reason(text)}" if error.code == "Unsupported" else text
        statuses.append((operator, kind, status))
    return statuses


def microsoft_models():
    """Those of the tests beside onnxruntime; which of them fail, those tests say."""
    import test_microsoft_attributes as rare
    import test_microsoft_operators as tests

    for case in tests.ALL + rare.ALL:
        model = onnx.load_from_string(tests.model_of(dataclasses.replace(case, symbolic=False)))
        feeds = {f"x{i}": array for i, array in enumerate(case.inputs)
                 if array is not None and i not in case.constants}
        yield operator_of(model), type_of(model), model, feeds, case


def rows(results: dict[str, tuple[str, str]],
         others: list[tuple[str, str, str]]) -> dict[str, dict]:
    """By operator: how many cases pass and are refused, the types of those that pass, and why not."""
    table: dict[str, dict] = collections.defaultdict(
        lambda: {"pass": 0, "refused": 0, "types": set(), "why": collections.Counter()})
    for operator, kind, _, _, case in models():
        status, text = results[case[0]]
        row = table[operator]
        row["pass" if status == "pass" else "refused"] += 1
        if status == "pass":
            row["types"].add(kind)
        else:
            row["why"][reason(text)] += 1
    for operator, kind, status in others:
        if status == "pass":
            table[operator]["types"].add(kind)
        elif status.startswith("refused: "):
            table[operator]["why"][f"{kind}: {status.removeprefix('refused: ')}"] += 1
    for operator, kind, _, _, _ in microsoft_models():
        table[operator]["pass"] += 1
        table[operator]["types"].add(kind)
    return table


def reason(text: str) -> str:
    """What an error has, without the names of nodes."""
    if "not supported: " in text:
        return "not imported"
    has = text.split("; needs")[0]
    while has.startswith(("model: ", "node ", "input ")) and ": " in has:
        has = has.split(": ", 1)[1]
    return has


def listed(types) -> str:
    rank = {name: i for i, name in enumerate(ORDER)}
    return ", ".join(sorted(types, key=lambda name: (rank.get(name, 99), name)))


def page(results: dict[str, tuple[str, str]], others: list[tuple[str, str, str]]) -> str:
    table = rows(results, others)
    gpu = json.loads(GPU.read_text()) if GPU.exists() else {}
    done = {name: row for name, row in table.items() if row["pass"]}
    lines = [
        "# Operators",
        "",
        "Written by tools/write_ops_page.py (`./dev docs`) from the tests: onnx's backend suite of",
        "models of one node, and the operators of com.microsoft beside onnxruntime. Do not edit.",
        "",
        "A type stands where a case of it gives the right values; types are those of the first",
        "input. A case of each operator of onnx is tried in all types that the operator allows,",
        "beside onnx's reference implementation in NumPy: floating-point numbers within 8 units in",
        "the last place of their type (float64 within 8e-9), others equal. On a GPU a type in (brackets) is computed on",
        "the host, where no kernel of the device takes it; what is missing there was not tried",
        "(docs/ops_cuda.json keeps what an H200 found).",
        "",
        "| operator | cases | CPU | CUDA |",
        "|---|---|---|---|",
    ]
    for name, row in sorted(done.items()):
        count = row["pass"] + row["refused"]
        cases = str(count) if not row["refused"] else f"{row['pass']} of {count}"
        lines.append(f"| {name} | {cases} | {listed(row['types'])} | {on_gpu(gpu.get(name, {}))} |")
    lines += ["", "## Refused", "",
              "| operator | cases | has |", "|---|---|---|"]
    for name, row in sorted(table.items()):
        for why, count in sorted(row["why"].items()):
            lines.append(f"| {name} | {count} | {why.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def on_gpu(types: dict[str, str]) -> str:
    marks = {kind: kind if where == "device" else f"({kind})" for kind, where in types.items()
             if where in ("device", "host")}
    return ", ".join(marks[kind] for kind in listed(marks).split(", ") if kind)


def is_suite_case(case) -> bool:
    return isinstance(case, tuple) and len(case) > 0 and isinstance(case[0], str)


def pack(folder: pathlib.Path, results: dict[str, tuple[str, str]]) -> int:
    """The first passing case of each operator and type that the program can load inputs of."""
    seen: set[tuple[str, str]] = set()
    every = [*models(), *retyped_models(results), *microsoft_models()]
    for operator, kind, model, feeds, case in every:
        passes = not is_suite_case(case) or results[case[0]][0] == "pass"
        if (operator, kind) in seen or not passes or not isinstance(feeds, dict):
            continue
        if any(not isinstance(array, (np.ndarray, np.generic)) for array in feeds.values()):
            continue
        seen.add((operator, kind))
        target = folder / f"{len(seen):04}"
        target.mkdir(parents=True)
        onnx.save(model, target / "model.onnx")
        for name, array in feeds.items():
            (target / f"{name}.bin").write_bytes(raw(np.asarray(array)))
        (target / "case.json").write_text(json.dumps(
            {"operator": operator, "type": kind, "inputs": list(feeds)}))
    shutil.copy(ROOT / "tools" / "run_cases.py", folder)
    return len(seen)


def raw(array: np.ndarray) -> bytes:
    """As a file of inputs has it; elements of less than a byte packed, the first in the low bits."""
    bits = {"int4": 4, "uint4": 4, "int2": 2, "uint2": 2, "float4_e2m1fn": 4}.get(array.dtype.name)
    if bits is None:
        return np.ascontiguousarray(array).tobytes()
    codes = array.reshape(-1).view(np.uint8) & (1 << bits) - 1
    codes = np.pad(codes, (0, -codes.size % (8 // bits))).reshape(-1, 8 // bits)
    shifts = np.arange(8 // bits, dtype=np.uint8) * bits
    return np.bitwise_or.reduce(codes << shifts, axis=1).astype(np.uint8).tobytes()


def keep_gpu(result: pathlib.Path) -> None:
    """{operator: {type: "device", "host" or what failed}}."""
    kept: dict[str, dict[str, str]] = collections.defaultdict(dict)
    if GPU.exists():
        kept.update(json.loads(GPU.read_text()))
    for case in json.loads(result.read_text()):
        kept[case["operator"]][case["type"]] = case["where"]
    GPU.write_text(json.dumps({name: dict(sorted(types.items()))
                               for name, types in sorted(kept.items())}, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--pack", type=pathlib.Path)
    parser.add_argument("--gpu", type=pathlib.Path)
    options = parser.parse_args()
    results = {case[0]: onnx_cases.run_case(case) for case in onnx_cases.load_cases()}
    if options.pack:
        print(f"{pack(options.pack, results)} cases in {options.pack}")
        return 0
    if options.gpu:
        keep_gpu(options.gpu)
    text = page(results, run_retyped(results))
    if options.check:
        current = PAGE.exists() and PAGE.read_text() == text
        print("docs/ops.md is current" if current else "docs/ops.md is old: run ./dev docs")
        return 0 if current else 1
    PAGE.write_text(text)
    print(f"{PAGE}: {len(text.splitlines())} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
