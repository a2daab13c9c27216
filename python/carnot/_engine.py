"""Engines and contexts."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np

import _carnot

from ._arrays import Output, set_input, set_state, type_of
from ._error import Error
from ._packed import fold, groups_of, unfold
from ._text import explanation_text, layer_table
from ._watch import LayerOutput

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class TensorInfo:
    """An input or output as declared.

    Attributes:
        name: its name.
        dtype: element type as Carnot writes it: "float32", "int64", "bfloat16", "float8e4m3fn", …
        shape: a number for each fixed dimension; for others a text: a symbol that the arrays of a run
            decide ("batch"), or an expression of symbols ("2*batch").
        depends_on_data: of an output whose shape is known only once a run gave it, since what the
            inputs hold decides: how many boxes are left, how many elements are not zero.
    """

    name: str
    dtype: str
    shape: tuple[Union[int, str], ...]
    depends_on_data: bool = False

    @property
    def numpy_dtype(self) -> np.dtype:
        """The dtype of the arrays that `run` takes and gives."""
        return type_of(self.dtype).dtype

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


def _infos(native: Iterable[Any]) -> tuple[TensorInfo, ...]:
    return tuple(TensorInfo(info.name, info.dtype,
                            tuple(int(dim) if dim.isdigit() else dim for dim in info.dims),
                            info.depends_on_data)
                 for info in native)


@dataclass(frozen=True)
class Layer:
    """What one layer of an engine costs.

    Attributes:
        name: its name in the engine.
        operators: what it carries out, as "Conv+Add+Relu".
        kernel: which kernel does it.
        onnx_nodes: the nodes of the model that it came from.
        milliseconds: median over the runs.
        share: of the sum over all layers, 0 to 1.
        flops: arithmetic operations, a multiply-add counting two.
        bytes: that enter or leave the layer, each once.
        intensity: flops per byte.
        bound: "compute" when the intensity is above the machine's balance of arithmetic and memory
            rates, which are measured, else "memory".
    """

    name: str
    operators: str
    kernel: str
    onnx_nodes: tuple[str, ...]
    milliseconds: float
    share: float
    flops: float
    bytes: float
    intensity: float
    bound: str


class Profile(list):
    """Layers in order of execution; as text, a table with the slowest first."""

    def __init__(self, native: list[Any]) -> None:
        super().__init__(
            Layer(r.name, r.operators, r.kernel, tuple(r.origins), r.milliseconds, r.share, r.flops,
                  r.bytes, r.intensity, "compute" if r.compute_bound else "memory") for r in native)

    def __str__(self) -> str:
        return layer_table(self)


class Explanation(dict):
    """What the builder considered for each layer; as text, a readable list.

    "steps" holds, for each layer, "name", "operators", "origins" (ONNX nodes), "candidates" (kernels
    with their times in microseconds), "chosen" and "refusals" (kernels with their reasons).
    """

    def __str__(self) -> str:
        return explanation_text(self)


class Context:
    """Runs an engine, one inference at a time, with memory of its own between layers.

    Several contexts of one engine run at once on several threads, with the same bits as results. A
    context that is running refuses a second run.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._native = _carnot.Context(engine._native)
        self._lock = threading.Lock()

    @property
    def engine(self) -> Engine:
        return self._engine

    def run(self, inputs: Arrays, out: Arrays | None = None) -> dict[str, Any]:
        """One inference.

        Args:
            inputs: an array for each input, by name: NumPy or anything that speaks DLPack, of the
                declared type and a shape that fits. Contiguous ones are read in place, others are
                copied; nested lists and numbers are converted. Types that NumPy lacks are ml_dtypes
                arrays or unsigned integers of the same size. For a sequence of the model, a list
                of arrays under its name; for an optional, what it holds, or None.
            out: arrays to write some outputs to, by name: contiguous, of the declared type and the
                shape that the inputs give; none for outputs whose shape depends on data.

        Returns:
            All outputs by name, those of `out` being the arrays given; sequences as lists of arrays,
            optionals as what they hold, or None.

        Raises:
            Error: naming the input or output, what it has and what is needed.
        """
        return self._locked(lambda: self._run(inputs, out or {}))

    def profile(self, inputs: Arrays, runs: int = 10) -> Profile:
        """Runs with each layer timed, and gives the medians. `inputs` as for `run`."""
        return self._locked(lambda: self._profile(inputs, runs))

    def watch(self, inputs: Arrays, watcher: Callable[[LayerOutput], None]) -> dict[str, Any]:
        """One inference, during which `watcher` sees what each layer writes, right after it ran.

        Layers that move nothing (a reshape, parts of one tensor) are not there. What the watcher
        raises ends the run. `inputs` and the result as for `run`.
        """
        return self._locked(lambda: self._watch(inputs, watcher))

    def set_state(self, name: str, array: Any, shape: Sequence[int] | None = None) -> None:
        """Gives a state its memory, for every run from now on.

        Args:
            name: of one of the engine's states.
            array: a writable, contiguous array of the declared type, which runs read and write; its
                shape becomes the state's. What it holds at first is the caller's to say. A GPU's
                engine copies an array there and back at every run.
            shape: given, `array` is an address of device memory, as carnot.cuda.mem_alloc gives, for
                a tensor of this shape. It must live as long as it is in use.
        """
        index = self._engine._native.state_index(name)
        info = self._engine.states[index]
        if shape is None:
            self._locked(lambda: set_state(self._native, index, info, array))
        else:
            dims = [int(dim) for dim in shape]
            self._locked(lambda: self._native.set_state_address(index, int(array), dims))

    def memory(self) -> tuple[int, int]:
        """Bytes between layers at the last run's shapes, and the least that any placement needs."""
        return self._native.memory()

    def _locked(self, act: Any) -> Any:
        if not self._lock.acquire(blocking=False):
            raise Error("InvalidArgument", "a context that is running on another thread",
                        "a context for each thread", "make one with engine.context()")
        try:
            return act()
        finally:
            self._native.clear()
            self._lock.release()

    def _run(self, inputs: Arrays, out: Arrays) -> dict[str, Any]:
        outputs = self._bind(inputs, out)
        self._native.run()
        return self._finish(outputs)

    def _watch(self, inputs: Arrays, watcher: Callable[[LayerOutput], None]) -> dict[str, Any]:
        outputs = self._bind(inputs, {})
        self._native.run_watched(lambda *fields: watcher(LayerOutput(*fields)))
        return self._finish(outputs)

    def _finish(self, outputs: dict[str, Output]) -> dict[str, Any]:
        return fold(self._engine._groups_out,
                    {name: output.finish() for name, output in outputs.items()})

    def _profile(self, inputs: Arrays, runs: int) -> Profile:
        self._bind(inputs, {})
        self._native.run()
        return Profile(self._native.profile(runs))

    def _bind(self, inputs: Arrays, out: Arrays) -> dict[str, Output]:
        engine, native = self._engine, self._native
        if engine._groups_in and isinstance(inputs, Mapping):
            inputs = unfold(engine._groups_in, engine.inputs, inputs)
        if (not isinstance(inputs, Mapping) or len(inputs) != len(engine.inputs)
                or any(info.name not in inputs for info in engine.inputs)):
            _refuse_names(engine, inputs)
        for index, info in enumerate(engine.inputs):
            set_input(native, index, info, inputs[info.name])
        for name in out:
            engine._native.output_index(name)
        return {info.name: Output(native, index, info, out.get(info.name))
                for index, info in enumerate(engine.outputs)}


def _refuse_names(engine: Engine, inputs: Arrays) -> None:
    if not isinstance(inputs, Mapping):
        raise Error("InvalidArgument", f"inputs as a {type(inputs).__name__}",
                    "a dict of arrays by name")
    for name in inputs:
        engine._native.input_index(name)
    missing = [info for info in engine.inputs if info.name not in inputs]
    raise Error("InvalidArgument", f"no array for input {missing[0].name}",
                ", ".join(f"{info.name}: {info}" for info in engine.inputs))


class Engine:
    """A network rebuilt for a machine, from `carnot.build` or `carnot.load`.

    Attributes:
        inputs, outputs: tuples of TensorInfo, in the model's order. A sequence "x" of the model is
            three of them: "x:elements", "x:dims" and "x:ranks"; an optional "x" is "x:present" before
            "x:value" or those three. `run` takes and gives both under the model's names, too.
        states: tuples of TensorInfo: what keeps its contents from run to run (key-value caches), in
            arrays that Context.set_state gives.
        info: a dict: producer, model, device, isa, threads, layers, weight_bytes, profiles, …
    """

    def __init__(self, native: Any) -> None:
        self._native = native
        self.inputs = _infos(native.inputs)
        self.outputs = _infos(native.outputs)
        self.states = _infos(native.states)
        self._groups_in, self._groups_out = groups_of(self.inputs), groups_of(self.outputs)
        self._idle: list[Context] = []

    @property
    def info(self) -> dict[str, Any]:
        return self._native.info()

    def context(self) -> Context:
        """A context of its own, for a thread that runs often."""
        return Context(self)

    def run(self, inputs: Arrays, out: Arrays | None = None) -> dict[str, Any]:
        """One inference; see Context.run. May be called from several threads."""
        return self._borrow(lambda context: context.run(inputs, out))

    def profile(self, inputs: Mapping[str, Any] | None = None, runs: int = 10) -> Profile:
        """Times each layer.

        Args:
            inputs: arrays by name, or shapes as tuples of int; those left out get the shapes that the
                engine was tuned for. Made-up arrays hold 1 for integers, numbers in [-1, 1) else.
            runs: of which the medians are given.
        """
        given = dict(inputs or {})
        shapes = {name: list(value if isinstance(value, tuple) else np.shape(value))
                  for name, value in given.items()}
        random = np.random.default_rng(1)
        for name, shape in self._native.typical_shapes(shapes).items():
            if any(state.name == name for state in self.states):
                continue
            if name not in given or isinstance(given[name], tuple):
                dtype = self.inputs[self._native.input_index(name)].numpy_dtype
                real = dtype.kind in "fcV"
                given[name] = (random.uniform(-1, 1, shape) if real else np.ones(shape)).astype(dtype)
        return self._borrow(lambda context: context.profile(given, runs))

    def explain(self) -> Explanation:
        """Per layer: ONNX nodes, kernels considered with their times, and refusals."""
        return Explanation(json.loads(self._native.explain()))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the engine's file, all or nothing. Raises Error (Io)."""
        self._native.save(os.fspath(path))

    def serialize(self) -> bytes:
        """The bytes of the engine's file."""
        return self._native.serialize()

    def _borrow(self, act: Any) -> Any:
        try:
            context = self._idle.pop()
        except IndexError:
            context = Context(self)
        try:
            return act(context)
        finally:
            self._idle.append(context)

    def __repr__(self) -> str:
        def names(infos: tuple[TensorInfo, ...]) -> str:
            return ", ".join(f"{info.name}: {info}" for info in infos)
        return f"<carnot.Engine {names(self.inputs)} -> {names(self.outputs)}>"
