"""Language models: from checkpoints to networks."""

from ._convert import convert_checkpoint

__all__ = ["convert_checkpoint"]
