"""Requests that wait together run together, and each gets its own rows."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from farkeras.serving.batching import Batcher, BatchSettings
from farkeras.serving.deadline import Deadline
from farkeras.serving.errors import RequestError
from tests.serving.target import eventually


class Double:
    """A model: y = 2 x. Runs once `go` is set, and notes what it was given."""

    def __init__(self):
        self.go, self.batches = threading.Event(), []

    def __call__(self, name, inputs, outputs):
        self.batches.append(inputs["x"].copy())
        assert self.go.wait(30)
        return [2 * inputs["x"] for _ in outputs]


@pytest.fixture
def model():
    return Double()


@pytest.fixture
def batcher(model):
    made = []

    def make(**settings):
        made.append(Batcher(model, BatchSettings(**{"num_batch_threads": 1, **settings})))
        return made[-1]

    yield make
    model.go.set()
    for one in made:
        one.close()


def rows(*values):
    return {"x": np.array([[value, 0] for value in values], np.float32)}


def ask(batcher, inputs, name="serving_default", deadline=None):
    (value,) = batcher.run(name, inputs, ["y"], deadline or Deadline())
    return value[:, 0].tolist()


def waiting(batcher):
    return sum(len(batch.tasks) for queue in batcher._queues.values() for batch in queue)


def test_requests_that_wait_are_merged(batcher, model):
    batcher = batcher(max_batch_size=8)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(ask, batcher, rows(0))
        eventually(lambda: len(model.batches) == 1)
        later = []
        for position, values in enumerate(((1, 2), (3,), (4, 5, 6)), 1):
            later.append(threads.submit(ask, batcher, rows(*values)))
            eventually(lambda position=position: waiting(batcher) == position)
        model.go.set()
        assert first.result() == [0]
        assert [answer.result() for answer in later] == [[2, 4], [6], [8, 10, 12]]
    assert [batch[:, 0].tolist() for batch in model.batches] == [[0], [1, 2, 3, 4, 5, 6]]


def test_a_full_batch_is_followed_by_another(batcher, model):
    batcher = batcher(max_batch_size=3)
    with ThreadPoolExecutor() as threads:
        answers = [threads.submit(ask, batcher, rows(0))]
        eventually(lambda: len(model.batches) == 1)
        for position, values in enumerate(((1, 2), (3, 4)), 1):
            answers.append(threads.submit(ask, batcher, rows(*values)))
            eventually(lambda position=position: waiting(batcher) == position)
        model.go.set()
        assert [answer.result() for answer in answers] == [[0], [2, 4], [6, 8]]
    assert [len(batch) for batch in model.batches] == [1, 2, 2]


def test_other_shapes_types_and_signatures_stay_apart(batcher, model):
    batcher = batcher(max_batch_size=8)
    wide, whole = {"x": np.ones((1, 3), np.float32)}, {"x": np.ones((1, 2), np.int32)}
    with ThreadPoolExecutor() as threads:
        answers = [threads.submit(ask, batcher, rows(0))]
        eventually(lambda: len(model.batches) == 1)
        for inputs, name in ((rows(1), "a"), (rows(1), "b"), (wide, "a"), (whole, "a")):
            answers.append(threads.submit(ask, batcher, inputs, name))
        eventually(lambda: waiting(batcher) == 4)
        model.go.set()
        assert [answer.result() for answer in answers] == [[0], [2], [2], [2], [2]]
    assert len(model.batches) == 5


def test_a_batch_waits_for_others(batcher, model):
    batcher = batcher(max_batch_size=2, batch_timeout_micros=60_000_000)
    model.go.set()
    with ThreadPoolExecutor() as threads:
        answers = [threads.submit(ask, batcher, rows(value)) for value in (1, 2)]
        assert sorted(answer.result(30) for answer in answers) == [[2], [4]]
    assert [len(batch) for batch in model.batches] == [2]


def test_no_longer_than_its_time(batcher, model):
    model.go.set()
    assert ask(batcher(max_batch_size=2, batch_timeout_micros=1000), rows(1)) == [2]


def test_padding_to_an_allowed_size(batcher, model):
    batcher = batcher(max_batch_size=4, allowed_batch_sizes=(2, 4))
    model.go.set()
    assert ask(batcher, rows(1, 2, 3)) == [2, 4, 6]
    assert model.batches[0][:, 0].tolist() == [1, 2, 3, 1]


def test_a_full_queue(batcher, model):
    batcher = batcher(max_batch_size=1, max_enqueued_batches=1)
    with ThreadPoolExecutor() as threads:
        running = threads.submit(ask, batcher, rows(0))
        eventually(lambda: len(model.batches) == 1)
        queued = threads.submit(ask, batcher, rows(1))
        eventually(lambda: waiting(batcher) == 1)
        with pytest.raises(RequestError, match="queue is full") as raised:
            ask(batcher, rows(2))
        assert raised.value.code.name == "UNAVAILABLE"
        model.go.set()
        assert (running.result(), queued.result()) == ([0], [2])


def test_a_request_whose_deadline_passes_does_not_run(batcher, model):
    batcher = batcher(max_batch_size=1)
    with ThreadPoolExecutor() as threads:
        running = threads.submit(ask, batcher, rows(0))
        eventually(lambda: len(model.batches) == 1)
        with pytest.raises(RequestError) as raised:
            ask(batcher, rows(1), deadline=Deadline.after(0.01))
        assert raised.value.code.name == "DEADLINE_EXCEEDED"
        model.go.set()
        assert running.result() == [0]
        assert ask(batcher, rows(2)) == [4]
    assert [batch[0, 0] for batch in model.batches] == [0, 2]


def test_a_late_request_in_a_batch_leaves_the_others(batcher, model):
    class JustPassed(Deadline):
        """Its caller has not yet noticed that it has passed."""

        def left(self):
            return 30.0

    batcher = batcher(max_batch_size=4)
    with ThreadPoolExecutor() as threads:
        running = threads.submit(ask, batcher, rows(0))
        eventually(lambda: len(model.batches) == 1)
        later = [threads.submit(ask, batcher, rows(1, 2), deadline=JustPassed(0.0))]
        later.append(threads.submit(ask, batcher, rows(3, 4), deadline=Deadline.after(30.0)))
        eventually(lambda: waiting(batcher) == 2)
        model.go.set()
        assert running.result() == [0]
        with pytest.raises(RequestError, match="deadline"):
            later[0].result()
        assert later[1].result() == [6, 8]


@pytest.mark.parametrize(
    "inputs",
    [{"x": np.float32(1)}, rows(1, 2, 3), {"x": np.ones(1), "z": np.ones(2)}],
    ids=["scalar", "many", "uneven"],
)
def test_what_cannot_be_merged(batcher, inputs):
    with pytest.raises(RequestError) as raised:
        ask(batcher(max_batch_size=2), inputs)
    assert raised.value.code.name == "INVALID_ARGUMENT"


def test_an_error_is_everyones(batcher):
    def fail(name, inputs, outputs):
        raise ValueError("no")

    failing = Batcher(fail, BatchSettings(num_batch_threads=1))
    with pytest.raises(ValueError, match="no"):
        ask(failing, rows(1))
    failing.close()
