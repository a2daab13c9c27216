"""Networks before they are built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import _carnot

from ._enum import expect
from ._enums import DataType, LayerType, NetworkDefinitionCreationFlag, TensorFormat, TensorLocation
from ._layer_types import layer_type
from ._logger import ILogger, Reporting
from ._types import Dims, shape_of, type_name, type_named

_LINEAR = 1 << TensorFormat.LINEAR


class ITensor:
    """A tensor of a network.

    Attributes:
        allowed_formats: bits of TensorFormat by position; must hold LINEAR.
        location: kept; changes nothing here.
    """

    __slots__ = ("_network", "_inner", "_name", "_formats", "location", "__weakref__")

    def __init__(self, network: INetworkDefinition, inner: str) -> None:
        self._network, self._inner, self._name = network, inner, inner
        self._formats = _LINEAR
        self.location = TensorLocation.DEVICE

    @property
    def name(self) -> str:
        """Settable; an engine knows its inputs and outputs by it."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        network = self._network
        with network._reporting():
            if network._is_port(self):
                network._native.rename(self._name, name)
            self._name = name

    def _info(self) -> Any:
        return self._network._describe(self)

    @property
    def shape(self) -> Dims:
        """-1 where a dimension is dynamic. Settable for inputs."""
        info = self._info()
        return shape_of(info) if info else Dims()

    @shape.setter
    def shape(self, shape: Iterable[int]) -> None:
        network = self._network
        if not self.is_network_input:
            network._fail(f"tensor {self._name} is no input", "an input to set the shape of")
            return
        with network._reporting():
            network._native.set_input_shape(self._name, list(shape))

    @property
    def dtype(self) -> DataType:
        """The element type. Settable for inputs and outputs: then the application's side of it."""
        info = self._info()
        return type_named(info.dtype) if info else DataType.FLOAT

    @dtype.setter
    def dtype(self, dtype: DataType) -> None:
        expect(dtype, DataType, "dtype")
        network = self._network
        if not network._is_port(self):
            if dtype != self.dtype:
                network._fail(f"tensor {self._name} is neither input nor output",
                              f"its own type, {self.dtype}", "insert a Cast into the model")
            return
        with network._reporting():
            network._native.set_dtype(self._name, type_name(dtype))

    @property
    def allowed_formats(self) -> int:
        return self._formats

    @allowed_formats.setter
    def allowed_formats(self, formats: int) -> None:
        if not int(formats) & _LINEAR:
            self._network._fail(f"tensor {self._name} may not be in LINEAR format",
                                "LINEAR among its formats", "allow 1 << int(TensorFormat.LINEAR)")
            return
        self._formats = int(formats)

    @property
    def is_network_input(self) -> bool:
        return self in self._network._inputs

    @property
    def is_network_output(self) -> bool:
        return self in self._network._outputs

    @property
    def is_shape_tensor(self) -> bool:
        return False

    @property
    def is_execution_tensor(self) -> bool:
        return True

    @property
    def broadcast_across_batch(self) -> bool:
        return False

    def get_dimension_name(self, index: int) -> str:
        """The symbol of a dynamic dimension, or ""."""
        info = self._info()
        dim = info.dims[index] if info and 0 <= index < len(info.dims) else ""
        return "" if dim.isdigit() else dim

    def __repr__(self) -> str:
        return f"<ITensor {self._name}: {self.dtype} {self.shape}>"


class ILayer:
    """A layer of a network: an operator of the model.

    Attributes:
        name, metadata: texts; settable, kept.
        precision: what the layer is to compute in; holds under the builder's flag
            PREFER_PRECISION_CONSTRAINTS or OBEY_PRECISION_CONSTRAINTS.
    """

    __slots__ = ("_network", "_layer", "name", "metadata", "_precision", "_types")

    def __init__(self, network: INetworkDefinition, layer: Any) -> None:
        self._network, self._layer = network, layer
        self.name: str = layer.name
        self.metadata = ", ".join(layer.origins)
        self._precision: DataType | None = None
        self._types: dict[int, DataType] = {}

    @property
    def type(self) -> LayerType:
        return layer_type(self._layer.type)

    @property
    def num_inputs(self) -> int:
        return len(self._layer.inputs)

    @property
    def num_outputs(self) -> int:
        return len(self._layer.outputs)

    def _tensor(self, names: list[str], index: int) -> ITensor | None:
        if not 0 <= index < len(names) or not names[index]:
            return None
        return self._network._tensor(names[index])

    def get_input(self, index: int) -> ITensor | None:
        """None for an index that is not there, and for an optional input left out."""
        return self._tensor(self._layer.inputs, index)

    def get_output(self, index: int) -> ITensor | None:
        """None for an index that is not there."""
        return self._tensor(self._layer.outputs, index)

    @property
    def precision(self) -> DataType:
        """What the layer should compute in: what was set, else its first output's type."""
        output = self.get_output(0)
        return self._precision or (output.dtype if output else DataType.FLOAT)

    @precision.setter
    def precision(self, precision: DataType) -> None:
        self._precision = expect(precision, DataType, "precision")

    @property
    def precision_is_set(self) -> bool:
        return self._precision is not None

    def reset_precision(self) -> None:
        self._precision = None

    def set_output_type(self, index: int, dtype: DataType) -> None:
        """Sets an output's type: of the network's output, if it is one; else as `precision`."""
        expect(dtype, DataType, "dtype")
        output = self.get_output(index)
        if output is None:
            self._network._fail(f"output {index} of layer {self.name}",
                                f"0 to {self.num_outputs - 1}")
            return
        self._types[index] = dtype
        if output.is_network_output:
            output.dtype = dtype

    def get_output_type(self, index: int) -> DataType:
        output = self.get_output(index)
        return self._types.get(index, output.dtype if output else DataType.FLOAT)

    def output_type_is_set(self, index: int) -> bool:
        return index in self._types

    def reset_output_type(self, index: int) -> None:
        self._types.pop(index, None)

    def __repr__(self) -> str:
        return f"<ILayer {self.name}: {self.type}>"


class INetworkDefinition(Reporting):
    """A network: filled by an OnnxParser, its interface open to change, built by a Builder."""

    __slots__ = ("_native", "_builder", "_flags", "_tensors", "_inputs", "_outputs", "_layers",
                 "_parsed")

    def __init__(self, builder: Any, flags: int, logger: ILogger) -> None:
        super().__init__(logger)
        self._builder, self._flags = builder, flags
        self._parsed = False
        self._fill(_carnot.Network())

    def _fill(self, native: Any) -> None:
        self._native = native
        self._tensors: dict[str, ITensor] = {}
        self._layers: dict[int, ILayer] = {}
        self._inputs = [self._tensor(info.name) for info in native.inputs()]
        self._outputs = [self._tensor(info.name) for info in native.outputs()]

    def _tensor(self, inner: str) -> ITensor:
        return self._tensors.setdefault(inner, ITensor(self, inner))

    def _layer_precisions(self) -> dict[str, tuple[str, str]]:
        """What was asked of layers, by their names in the model."""
        asked = {}
        for layer in self._layers.values():
            inner = layer.get_output(0)
            output = layer._types.get(0) if inner and not inner.is_network_output else None
            if layer.precision_is_set or output is not None:
                asked[layer._layer.name] = tuple(
                    type_name(dtype) if dtype is not None else ""
                    for dtype in (layer._precision, output))
        return asked

    def _is_port(self, tensor: ITensor) -> bool:
        return tensor in self._inputs or tensor in self._outputs

    def _describe(self, tensor: ITensor) -> Any:
        for tensors, infos in ((self._inputs, self._native.inputs),
                               (self._outputs, self._native.outputs)):
            if tensor in tensors:
                return infos()[tensors.index(tensor)]
        return self._native.tensor(tensor._inner)

    @property
    def name(self) -> str:
        return self._native.name

    @name.setter
    def name(self, name: str) -> None:
        self._native.name = name

    @property
    def builder(self) -> Any:
        return self._builder

    @property
    def flags(self) -> int:
        """Bits of NetworkDefinitionCreationFlag by position."""
        return self._flags

    def get_flag(self, flag: NetworkDefinitionCreationFlag) -> bool:
        expect(flag, NetworkDefinitionCreationFlag, "flag")
        return flag == NetworkDefinitionCreationFlag.EXPLICIT_BATCH or bool(self._flags >> flag & 1)

    @property
    def has_implicit_batch_dimension(self) -> bool:
        return False

    @property
    def has_explicit_precision(self) -> bool:
        return False

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    @property
    def num_layers(self) -> int:
        return self._native.layer_count()

    def get_input(self, index: int) -> ITensor | None:
        """None for an index that is not there."""
        return self._inputs[index] if 0 <= index < len(self._inputs) else None

    def get_output(self, index: int) -> ITensor | None:
        """None for an index that is not there."""
        return self._outputs[index] if 0 <= index < len(self._outputs) else None

    def get_layer(self, index: int) -> ILayer | None:
        """In topological order; None for an index that is not there."""
        if not 0 <= index < self.num_layers:
            return None
        if index not in self._layers:
            self._layers[index] = ILayer(self, self._native.layer(index))
        return self._layers[index]

    def mark_output(self, tensor: ITensor) -> None:
        """Makes a tensor an output, after those there are."""
        expect(tensor, ITensor, "tensor")
        with self._reporting():
            self._native.mark_output(tensor._inner)
            self._outputs.append(tensor)
            if tensor._name != tensor._inner and tensor not in self._inputs:
                self._native.rename(tensor._inner, tensor._name)

    def unmark_output(self, tensor: ITensor) -> None:
        expect(tensor, ITensor, "tensor")
        with self._reporting():
            self._native.unmark_output(tensor._name)
            self._outputs.remove(tensor)

    def __len__(self) -> int:
        return self.num_layers

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[ILayer]:
        return (self[index] for index in range(self.num_layers))

    def __getitem__(self, index: int) -> ILayer:
        layer = self.get_layer(index + self.num_layers if index < 0 else index)
        if layer is None:
            raise IndexError(f"layer {index}; the network has {self.num_layers}")
        return layer

    def __getattr__(self, name: str) -> Any:
        if name.startswith("add_"):
            raise AttributeError(f"INetworkDefinition.{name}: carnot.tensorrt does not construct "
                                 "layers; parse an ONNX model (OnnxParser)")
        raise AttributeError(f"INetworkDefinition has no attribute {name!r}")
