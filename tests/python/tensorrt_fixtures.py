"""An engine with two profiles, a context, memory and what onnxruntime gives, for tests that run."""

import numpy as np
import pytest
from small_models import classifier, random, wanted
from tensorrt_helpers import Recorder, engine_of

import carnot.cuda as cuda
import carnot.tensorrt as trt

SHAPE = (3, 32, 32)
RANGES = {"input": ((1, *SHAPE), (2, *SHAPE), (4, *SHAPE))}
WIDER = {"input": ((2, *SHAPE), (4, *SHAPE), (8, *SHAPE))}
X = random(3, *SHAPE)


@pytest.fixture
def logger():
    return Recorder()


@pytest.fixture(scope="module")
def plan():
    return engine_of(classifier(), Recorder(), RANGES, WIDER).serialize()


@pytest.fixture
def engine(plan, logger):
    return trt.Runtime(logger).deserialize_cuda_engine(plan)


@pytest.fixture
def context(engine):
    return engine.create_execution_context()


@pytest.fixture(scope="module")
def expected():
    return wanted(classifier(), input=X)["output"]


class Memory:
    """Device memory for an input and its output."""

    def __init__(self, x=X):
        self.x, self.y = cuda.to_device(x), cuda.mem_alloc(len(x) * 40)
        self.bindings = [int(self.x), int(self.y)]
        self.shape = (len(x), 10)

    def output(self):
        return cuda.from_device(self.y, self.shape, np.float32)
