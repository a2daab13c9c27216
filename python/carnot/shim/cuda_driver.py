"""What stands for `cuda.cuda`, the driver's interface: as much as its error checks need."""

import enum


class CUresult(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_OUT_OF_MEMORY = 2


def cuInit(flags: int) -> tuple[CUresult]:
    return (CUresult.CUDA_SUCCESS,)


def cuGetErrorName(error: CUresult) -> tuple[CUresult, bytes]:
    return CUresult.CUDA_SUCCESS, CUresult(error).name.encode()
