"""What every test relies on."""

import signal

import pytest

# A runner in the background may ignore interrupts, and what it starts would: tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def suite_results():
    """(status, text) by the name of each case of onnx's backend suites."""
    from onnx_cases import load_cases, run_case

    return {case[0]: run_case(case) for case in load_cases()}
