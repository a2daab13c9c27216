"""Contexts and memory: addresses by index and by name, and wrong ones."""

import mmap

import numpy as np
import pytest
from hypothesis import given, settings, strategies
from small_models import classifier
from tensorrt_fixtures import (  # noqa: F401
    RANGES, SHAPE, X, Memory, context, engine, expected, logger, plan,
)
from tensorrt_helpers import Recorder, engine_of

import _carnot
import carnot.cuda as cuda

ON_CPU = cuda.device_kind() == "cpu"


def test_memory_of_the_process_will_do(context, expected):
    x, y = X.copy(), np.zeros((3, 10), np.float32)
    context.set_input_shape("input", x.shape)
    assert context.execute_v2([x.ctypes.data, y.ctypes.data])
    np.testing.assert_allclose(y, expected, atol=1e-5)


def freed():
    address = cuda.mem_alloc(X.nbytes)
    address.free()
    return int(address)


@pytest.mark.parametrize("bindings, parts", [
    (lambda m: [freed(), int(m.y)], ["input input", "freed device memory", "36864 bytes"]),
    (lambda m: [int(m.x), freed()], ["output output", "freed device memory", "120 bytes"]),
    (lambda m: [int(m.y), int(m.x)], ["input input", "has 120 bytes", "needs 36864 bytes"]),
    (lambda m: [int(m.x), int(m.y) + 4], ["output output", "has 116 bytes", "needs 120 bytes"]),
    (lambda m: [int(m.x), int(m.x) + 35001], ["no multiple of 4", "aligned"]),
    (lambda m: [int(m.x) + (10**9 if ON_CPU else 1 << 50), int(m.y)],
     ["freed device memory" if ON_CPU else "input input"]),
    (lambda m: [0, int(m.y)], ["input input", "is null"]),
    (lambda m: [1, 2], ["at 0x2 is not memory to write to"]),
    (lambda m: [int(m.x)], ["1 addresses", "output"]),
    (lambda m: [], ["0 addresses", "output"]),
    (lambda m: [int(m.x), int(m.x)], ["in the memory of input input"]),
    (lambda m: [int(m.x), int(m.y), 0], ["3 addresses"]),
], ids=["input freed", "output freed", "swapped", "offset", "unaligned", "made up", "null", "small "
        "numbers", "too few", "none", "the same", "too many"])
def test_addresses_that_are_refused(context, logger, expected, bindings, parts):
    memory = Memory()
    context.set_input_shape("input", X.shape)
    assert context.execute_v2(bindings(memory)) is False
    for part in parts:
        assert part in logger.errors
    assert context.execute_v2(memory.bindings)
    np.testing.assert_allclose(memory.output(), expected, atol=1e-5)


def test_addresses_by_name(context, logger):
    memory = Memory()
    assert context.get_tensor_address("input") == 0
    assert context.set_tensor_address("input", int(memory.x))
    assert context.get_tensor_address("input") == int(memory.x)
    assert not context.execute_async_v3(0) and "no shape set for input" in logger.errors
    context.set_input_shape("input", X.shape)
    assert not context.execute_async_v3(0) and "no address set for output" in logger.errors
    assert not context.set_tensor_address("absent", 1) and "'absent'" in logger.errors
    assert not context.set_tensor_address("output", freed()) and "is freed" in logger.errors
    with pytest.raises(TypeError):
        context.set_tensor_address("output", None)
    with pytest.raises(TypeError):
        context.set_tensor_address(0, 1)
    memory.x.free()
    context.set_tensor_address("output", int(memory.y))
    assert not context.execute_async_v3(0) and "input input at" in logger.errors


def test_outputs_do_not_go_where_nothing_may_be_written(context, logger):
    x, y = X.copy(), mmap.mmap(-1, 4096, prot=mmap.PROT_READ)
    context.set_input_shape("input", X.shape)
    address = np.frombuffer(y, np.uint8).ctypes.data
    assert not context.execute_v2([x.ctypes.data, address])
    assert "not memory to write to" in logger.errors


# Addresses that scripts get wrong: small numbers, and places in or near device memory.
_LIVE = cuda.mem_alloc(1 << 16)
_GONE = freed()
addresses = strategies.one_of(
    strategies.integers(0, 1 << 16),
    strategies.integers(-70000, 70000).map(lambda offset: int(_LIVE) + offset),
    strategies.integers(0, 1 << 20).map(lambda offset: _GONE + offset),
    strategies.integers(1 << 60, (1 << 64) - 1))


@pytest.fixture(scope="module")
def one_context():
    return engine_of(classifier(), Recorder(), RANGES).create_execution_context()


@pytest.mark.skipif(not ON_CPU, reason="memory of other owners on the device is taken as it is")
@settings(max_examples=200, deadline=None)
@given(wrong=strategies.lists(addresses, min_size=2, max_size=2), batch=strategies.integers(0, 5))
def test_no_address_breaks_a_context(one_context, wrong, batch):
    context = one_context
    if not context.set_input_shape("input", (batch, *SHAPE)):
        assert batch in (0, 5)
        return
    needs = (batch * 12288, batch * 40)
    places = [_carnot.device_find(address) for address in wrong]
    fits = all(kind == "live" and address + size <= base + room and address % 4 == 0
               for address, size, (kind, base, room) in zip(wrong, needs, places))
    apart = wrong[0] + needs[0] <= wrong[1] or wrong[1] + needs[1] <= wrong[0]
    assert context.execute_v2(wrong) == (fits and apart)
