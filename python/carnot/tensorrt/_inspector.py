"""What an engine says of its layers."""

from __future__ import annotations

import json
from typing import Any

from ._enum import expect
from ._enums import LayerInformationFormat
from ._logger import ILogger, Reporting


def _line(layer: dict[str, Any]) -> str:
    def tensors(side: str) -> str:
        return ", ".join(f"{tensor['Name']} {tensor['Format/Datatype']}{tensor['Dimensions']}"
                         for tensor in layer[side])
    return (f"{layer['ParameterType']}({layer['TacticName']}): {layer['Name']}, "
            f"{tensors('Inputs')} -> {tensors('Outputs')}")


class EngineInspector(Reporting):
    """Writes of an engine, its layers, kernels, shapes and types.

    Attributes:
        execution_context: kept; shapes in what is written are the engine's.
    """

    __slots__ = ("_information", "execution_context")

    def __init__(self, native: Any, logger: ILogger) -> None:
        super().__init__(logger)
        self._information = json.loads(native.layer_information())
        self.execution_context: Any = None

    def get_engine_information(self, format: LayerInformationFormat) -> str:
        """All layers, then the names of inputs and outputs: JSON, or a line for each."""
        if expect(format, LayerInformationFormat, "format") == LayerInformationFormat.JSON:
            return json.dumps(self._information, indent=2)
        lines = ["Layers:", *map(_line, self._information["Layers"]), "", "Bindings:",
                 *self._information["Bindings"]]
        return "\n".join(lines)

    def get_layer_information(self, layer_index: int, format: LayerInformationFormat) -> str:
        """One layer; "" and an error in the log for an index that is not there."""
        expect(format, LayerInformationFormat, "format")
        layers = self._information["Layers"]
        if not 0 <= layer_index < len(layers):
            self._fail(f"layer {layer_index}", f"0 to {len(layers) - 1}")
            return ""
        layer = layers[layer_index]
        return (json.dumps(layer, indent=2) if format == LayerInformationFormat.JSON
                else _line(layer))
