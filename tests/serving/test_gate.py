"""Few requests at a time."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from farkeras.serving.deadline import Deadline
from farkeras.serving.errors import RequestError
from farkeras.serving.gate import LARGE_BYTES, Gate

SOON = 0.01


def test_so_many_are_in_at_a_time():
    gate = Gate(2)
    with gate.passed(1, Deadline()), gate.passed(LARGE_BYTES, Deadline()):
        assert refused(gate, 1)
    assert not refused(gate, 1), "who leaves makes room"


def test_large_ones_wait_for_each_other_alone():
    gate = Gate(1)
    with gate.passed(LARGE_BYTES + 1, Deadline()):
        assert refused(gate, LARGE_BYTES + 1)
        assert not refused(gate, 1)


def test_an_error_inside_makes_room():
    gate = Gate(1)
    with pytest.raises(ZeroDivisionError), gate.passed(1, Deadline()):
        raise ZeroDivisionError
    assert not refused(gate, 1)


def test_a_deadline_that_has_passed():
    with pytest.raises(RequestError, match="deadline") as raised, Gate(1).passed(1, Deadline.after(0)):
        pytest.fail("it was let in")
    assert raised.value.code.name == "DEADLINE_EXCEEDED"


def test_who_waits_is_let_in():
    gate = Gate(1)
    with ThreadPoolExecutor(1) as threads:
        with gate.passed(1, Deadline()):
            other = threads.submit(lambda: refused(gate, 1, seconds=30))
        assert not other.result()


def refused(gate, size, seconds=SOON):
    try:
        with gate.passed(size, Deadline.after(seconds)):
            return False
    except RequestError:
        return True
