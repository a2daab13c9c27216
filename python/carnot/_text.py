"""Reports as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def _table(rows: list[tuple[str, ...]], right: int) -> str:
    """Columns padded to their widest cell, the first `right` of them flush right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "".join(
        "  ".join(cell.rjust(width) if i < right else cell.ljust(width)
                  for i, (cell, width) in enumerate(zip(row, widths))).rstrip() + "\n"
        for row in rows)


def layer_table(layers: Iterable[Any]) -> str:
    """One row for each layer, the slowest first."""
    rows = [("ms", "share", "Mflop", "MB", "flop/B", "bound", "kernel", "operators", "ONNX nodes")]
    for layer in sorted(layers, key=lambda layer: -layer.milliseconds):
        nodes = ", ".join(layer.onnx_nodes[:3])
        more = f" and {len(layer.onnx_nodes) - 3} more" if len(layer.onnx_nodes) > 3 else ""
        rows.append((f"{layer.milliseconds:.4f}", f"{layer.share:.1%}", f"{layer.flops / 1e6:.2f}",
                     f"{layer.bytes / 1e6:.3f}", f"{layer.intensity:.1f}", layer.bound, layer.kernel,
                     layer.operators, nodes + more))
    return _table(rows, right=5)


def explanation_text(explanation: Mapping[str, Any]) -> str:
    """Each layer with its candidates, their times at each tuning point, and the refusals."""
    text = f"{explanation.get('device', '')}\nmicroseconds at"
    text += "; ".join(" " + (", ".join(f"{symbol} = {value}" for symbol, value in point.items())
                             or "fixed shapes") for point in explanation.get("points", []))
    text += " (~ estimated, * chosen)\n"
    for step in explanation["steps"]:
        text += f"\n{step['name']}: {step['operators']}\n  from {', '.join(step['origins'])}\n"
        for index, candidate in enumerate(step.get("candidates", [])):
            mark = "*" if index in step["chosen"] else " "
            times = " ".join(f"{'' if time['measured'] else '~'}{time['microseconds']:.1f}".rjust(10)
                             for time in candidate["times"])
            text += f"  {mark} {times}  {candidate['kernel']} {candidate['configuration']}".rstrip()
            text += "\n"
        for refusal in step.get("refusals", []):
            text += f"  - {refusal['kernel']}: {refusal['reason']}\n"
    return text
