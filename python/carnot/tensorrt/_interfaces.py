"""Classes that an application derives from, to be called back."""

from __future__ import annotations

from typing import Any

from ._enums import DataType, ErrorCodeTRT, SeekPosition, TensorLocation


class IProfiler:
    """Told what each layer took."""

    def __init__(self) -> None:
        pass

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        """Called for each layer of a run, in order, with milliseconds."""
        raise NotImplementedError(f"{type(self).__name__} does not define report_layer_time")


class Profiler(IProfiler):
    """Prints what each layer took."""

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        print(f"{layer_name}: {ms:g}ms")


class IProgressMonitor:
    """Told how far a build is; step_complete may end it."""

    def __init__(self) -> None:
        pass

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """A phase begins, within another or none."""
        raise NotImplementedError(f"{type(self).__name__} does not define phase_start")

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Step `step` of the phase is done. False ends the build."""
        raise NotImplementedError(f"{type(self).__name__} does not define step_complete")

    def phase_finish(self, phase_name: str) -> None:
        """A phase has ended, perhaps before all of its steps."""
        raise NotImplementedError(f"{type(self).__name__} does not define phase_finish")


class IOutputAllocator:
    """Gives memory for an output when its size is known."""

    def __init__(self) -> None:
        pass

    def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:
        """The address of `size` bytes; `memory` is what was given before. None or 0: a refusal."""
        raise NotImplementedError(f"{type(self).__name__} does not define reallocate_output")

    def reallocate_output_async(self, tensor_name: str, memory: int, size: int, alignment: int,
                                stream: int) -> int:
        """As reallocate_output, on a stream."""
        return self.reallocate_output(tensor_name, memory, size, alignment)

    def notify_shape(self, tensor_name: str, shape: Any) -> None:
        """The output's shape."""
        raise NotImplementedError(f"{type(self).__name__} does not define notify_shape")


class IDebugListener:
    """Told what tensors between layers hold."""

    def __init__(self) -> None:
        pass

    def process_debug_tensor(self, addr: int, location: TensorLocation, type: DataType, shape: Any,
                             name: str, stream: int) -> None:
        """A tensor, right after its layer wrote it: `addr` holds it row by row during the call."""
        raise NotImplementedError(f"{self.__class__.__name__} does not define process_debug_tensor")


class IErrorRecorder:
    """Told of errors beside the logger."""

    MAX_DESC_LENGTH = 127

    def __init__(self) -> None:
        pass

    def report_error(self, code: ErrorCodeTRT, desc: str) -> bool:
        """Takes one error."""
        raise NotImplementedError(f"{type(self).__name__} does not define report_error")

    def num_errors(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define num_errors")

    def get_error_code(self, index: int) -> ErrorCodeTRT:
        raise NotImplementedError(f"{type(self).__name__} does not define get_error_code")

    def get_error_desc(self, index: int) -> str:
        raise NotImplementedError(f"{type(self).__name__} does not define get_error_desc")

    def has_overflowed(self) -> bool:
        raise NotImplementedError(f"{type(self).__name__} does not define has_overflowed")

    def clear(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not define clear")


class IStreamReader:
    """Where a runtime reads a serialized engine from."""

    def __init__(self) -> None:
        pass

    def read(self, size: int) -> bytes:
        """At most `size` more bytes; none at the end."""
        raise NotImplementedError(f"{type(self).__name__} does not define read")


class IStreamReaderV2:
    """Where a runtime reads a serialized engine from, in any order."""

    def __init__(self) -> None:
        pass

    def read(self, num_bytes: int, stream: int) -> bytes:
        """At most `num_bytes` more bytes; none at the end."""
        raise NotImplementedError(f"{type(self).__name__} does not define read")

    def seek(self, offset: int, where: SeekPosition) -> bool:
        """Goes to another place."""
        raise NotImplementedError(f"{type(self).__name__} does not define seek")


class IStreamWriter:
    """Where a builder writes a serialized engine to."""

    def __init__(self) -> None:
        pass

    def write(self, data: bytes) -> int:
        """Takes bytes and says how many it took."""
        raise NotImplementedError(f"{type(self).__name__} does not define write")
