"""Building and loading."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Union

import _carnot

from ._engine import Engine
from ._error import Error

_log = logging.getLogger("carnot")
_LEVELS = {0: logging.CRITICAL, 1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO,
           4: logging.DEBUG}

Shape = Sequence[int]
Ranges = Mapping[str, Union[Shape, tuple[Shape, Shape, Shape]]]


class AppliedPatch(NamedTuple):
    """A rewrite of the graph that a pass applied.

    Attributes:
        number: from 1, in order; with patch_limit one less, it and what follows stay out.
        pass_name: of the pass, as skip_passes takes it.
        label: which of the pass's rewrites.
        reason: why; may be empty.
        node: of the graph, at which the pass proposed it.
        onnx_nodes: the nodes of the model that this came from.
    """

    number: int
    pass_name: str
    label: str
    reason: str
    node: str
    onnx_nodes: list[str]


def _range(name: str, value: Any) -> list[list[int]]:
    """One shape, or the least, the best and the largest."""
    try:
        one = all(hasattr(dim, "__index__") for dim in value)
        shapes = [[int(dim) for dim in shape] for shape in ([value] * 3 if one else value)]
    except TypeError:
        shapes = []
    if len(shapes) != 3:
        raise Error("InvalidArgument", f"profile of input {name} is {value!r}",
                    "one shape, or three: (min, opt, max)")
    return shapes


def build(model: Any, *, profiles: Ranges | Iterable[Ranges] | None = None,
          device: str | None = None, threads: int | None = None, isa: str = "native",
          permits: Iterable[str] = (), tf32: bool = True, round_all: bool = False,
          layer_precisions: Mapping[str, str] | None = None,
          precision_constraints: str = "obey", optimization_level: int = 3,
          budget: float | None = None, timing_cache: str | os.PathLike[str] | bool | None = None,
          dump_ir: str | os.PathLike[str] | None = None, stop_after: str | None = None,
          skip_passes: Iterable[str] = (), without_kernels: Iterable[str] = (),
          patch_limit: int | None = None, fusion: bool = True,
          patches: Callable[[AppliedPatch], None] | None = None,
          progress: Callable[[str, int, int], None] | None = None) -> Engine | None:
    """Builds an engine from a model for this machine.

    Messages go to the logger "carnot". Ctrl-C cancels the build.

    Args:
        model: a path, the bytes of an ONNX file, an onnx.ModelProto, or a network that
            carnot.llm.convert_checkpoint gives.
        profiles: the shapes to tune for and to enforce: by input name one shape, or (min, opt, max);
            one such dict, or several. None: dimension 0 is tuned at 1, other dynamic ones at 128, and
            every shape runs.
        device: "cpu" or "cuda"; None: the one that CARNOT_DEVICE names, else the CPU.
        threads: to use; None: CARNOT_THREADS if set, else the cores allowed to the process.
        isa: instruction sets to build for: "native", "portable", "avx2", "avx512", or names joined
            by "+".
        permits: "float16", "bfloat16": what layers of float32 may compute in, where kernels of the
            device compute in it and the layer is safe in it; the log says how many do. On a CPU with
            instructions for bfloat16, products of float32 may round their operands to it instead.
        tf32: products of float32 may round their operands to TF32, on a GPU that has it.
        round_all: half and TF32 also for convolutions that gain nothing by tensor cores, or whose
            errors a long chain behind them may amplify; otherwise these keep float32.
        layer_precisions: what single ONNX nodes must compute in, by name: "float32", "float16",
            "bfloat16".
        precision_constraints: what becomes of those that cannot be had: "obey": an Error,
            "prefer": a warning, "none": nothing is asked.
        optimization_level: 0 (no timing) to 5 (every candidate is timed).
        budget: seconds for timing kernels; None: no limit.
        timing_cache: the JSON file that keeps measurements; None: in the user's cache folder; False:
            none. With the same cache the engine is the same to the byte.
        dump_ir: folder for the graph's text after each phase.
        stop_after: a phase of carnot.build_phases(); no engine is made then.
        skip_passes, without_kernels: names to leave out, for tests and bisection. A kernel's name may
            be a folder of several ("cpu/conv"), and may end in "@" and an ONNX node: only layers made
            of that node then do without.
        patch_limit: apply only the first so many rewrites of the passes; None: all.
        fusion: layers may be made of several nodes; False: every node is a layer and writes its
            tensor to memory, to measure what fusion gains.
        patches: called with each AppliedPatch, right before it is applied.
        progress: called with (phase, done, all) between units of work.

    Returns:
        The engine; None when `stop_after` ended the build.

    Raises:
        Error: Io, InvalidModel, Unsupported (naming file and node) or InvalidArgument.
    """
    if hasattr(model, "SerializeToString"):
        model = model.SerializeToString()
    elif isinstance(model, (bytearray, memoryview)):
        model = bytes(model)
    elif not isinstance(model, (bytes, _carnot.Network)):
        try:
            model = os.fspath(model)
        except TypeError:
            raise Error("InvalidArgument", f"model is a {type(model).__name__}",
                        "a path, the bytes of an ONNX file or an onnx.ModelProto") from None
    if profiles is None:
        profiles = []
    elif isinstance(profiles, Mapping):
        profiles = [profiles]
    options = _carnot.BuildOptions()
    options.profiles = [{name: _range(name, value) for name, value in profile.items()}
                        for profile in profiles]
    options.device = device or ""
    options.threads = _threads(threads)
    options.isa = isa
    options.permits = list(permits)
    options.tf32 = tf32
    options.round_all = round_all
    options.layer_precisions = {name: (dtype, "")
                                for name, dtype in (layer_precisions or {}).items()}
    options.precision_constraints = _constraints(precision_constraints)
    options.optimization_level = optimization_level
    options.budget = -1.0 if budget is None else float(budget)
    options.timing_cache = _cache(timing_cache)
    options.dump_ir = os.fspath(dump_ir) if dump_ir is not None else ""
    options.stop_after = stop_after or ""
    options.skip_passes = list(skip_passes)
    options.without_kernels = list(without_kernels)
    options.fusion = fusion
    options.patch_limit = _limit(patch_limit)
    level = _log.getEffectiveLevel()
    options.log_level = max(severity for severity, python in _LEVELS.items()
                            if python >= level or severity == 0)
    native = _carnot.build(
        model, options,
        log=lambda severity, message: _log.log(_LEVELS[severity], "%s", message),
        progress=progress, patches=patches and (lambda *fields: patches(AppliedPatch(*fields))))
    return Engine(native) if native else None


def _constraints(name: str) -> int:
    known = ("none", "prefer", "obey")
    if name not in known:
        raise Error("InvalidArgument", f"precision_constraints = {name!r}",
                    "none, prefer or obey")
    return known.index(name)


def _limit(patch_limit: int | None) -> int:
    if patch_limit is None:
        return -1
    if patch_limit < 0:
        raise Error("InvalidArgument", f"patch_limit = {patch_limit}", "0 or more")
    return patch_limit


def _threads(threads: int | None) -> int:
    if threads is None:
        return 0
    if threads < 1:
        raise Error("InvalidArgument", f"threads = {threads}", "1 or more")
    return threads


def _cache(timing_cache: Any) -> str:
    if timing_cache is None or timing_cache is True:
        return ""
    return "none" if timing_cache is False else os.fspath(timing_cache)


def load(source: str | os.PathLike[str] | bytes, *, verify: bool = False,
         threads: int | None = None) -> Engine:
    """Loads an engine from its file, which is mapped, or from its bytes, which are copied.

    Args:
        source: a path, or what Engine.serialize gave.
        verify: hash the weights now; the engine's description always is.
        threads: to run with; None: CARNOT_THREADS if set, else what the engine was tuned for, at most
            the cores allowed.

    Raises:
        Error: Io; InvalidModel for a damaged or foreign file; Incompatible for another version,
            instruction set or device.
    """
    if isinstance(source, (bytearray, memoryview)):
        source = bytes(source)
    elif not isinstance(source, bytes):
        source = os.fspath(source)
    return Engine(_carnot.load(source, verify, _threads(threads)))
