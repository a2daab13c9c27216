"""As much of ONNX's wire format as the parser's questions about single nodes need."""

from __future__ import annotations

from collections.abc import Iterator

_GRAPH, _NODE = 7, 1  # ModelProto.graph, GraphProto.node


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    """The length-delimited fields of one number."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 2:
            size, at = _varint(data, at)
            if key >> 3 == wanted:
                yield data[at:at + size]
            at += size
        elif kind == 0:
            _, at = _varint(data, at)
        else:
            at += {1: 8, 5: 4}[kind]


def count_nodes(model: bytes) -> int:
    """Nodes of the main graph; 0 for what is no ONNX model."""
    try:
        return sum(1 for graph in _messages(memoryview(model), _GRAPH)
                   for _ in _messages(graph, _NODE))
    except (IndexError, KeyError):
        return 0


def _field(number: int, payload: bytes) -> bytes:
    assert len(payload) < 128
    return bytes([number << 3 | 2, len(payload)]) + payload


def model_of_one_node(operator: str) -> bytes:
    """A model of the newest opset with one node, which has no operands."""
    node = _field(4, operator.encode()[:60])
    graph = _field(_NODE, node) + _field(2, b"one")
    return bytes([1 << 3, 10]) + _field(_GRAPH, graph) + _field(8, bytes([2 << 3, 21]))
