"""The connection between workers: they meet, exchange values, and learn at once when one is lost."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from farkeras.errors import FarkerasError, Stopped, WorkerLost
from farkeras.training.cluster import Place
from farkeras.training.workers import Workers, connected


@pytest.fixture
def addresses():
    """Three addresses on this machine."""
    with (
        socket.create_server(("", 0)) as one,
        socket.create_server(("", 0)) as two,
        socket.create_server(("", 0)) as three,
    ):
        ports = [server.getsockname()[1] for server in (one, two, three)]
    return tuple(f"localhost:{port}" for port in ports)


def together(addresses, work, wait=20):
    """The results of `work(workers)`, or the exceptions, of all workers, each in a thread of its own."""

    def run(number):
        try:
            with connected(Place(number, addresses, "TF_CONFIG"), wait) as workers:
                return work(workers)
        except BaseException as error:
            return error

    with ThreadPoolExecutor(len(addresses)) as pool:
        return list(pool.map(run, range(len(addresses))))


def test_values_are_gathered_in_the_order_of_the_workers(addresses):
    def work(workers):
        parts = workers.gather({"rows": np.arange(workers.number, dtype=np.int64), "name": f"w{workers.number}"})
        first = workers.from_chief({"best": 0.5 + workers.number, "none": None})
        return [(part["rows"].tolist(), part["name"]) for part in parts], first, workers.chief

    gathered = [([], "w0"), ([0], "w1"), ([0, 1], "w2")]
    results = together(addresses, work)
    assert results == [(gathered, {"best": 0.5, "none": None}, number == 0) for number in range(3)]


def test_a_process_on_its_own():
    workers = Workers()
    assert (workers.count, workers.chief) == (1, True)
    assert workers.gather({"a": 1}) == [{"a": 1}]
    assert workers.from_chief({"a": 1}) == {"a": 1}


def test_a_worker_that_only_itself_knows_its_address(addresses):
    """As in SLURM, where task 1 finds a free port."""

    def run(number):
        own = ("", "localhost:0")[number]
        with connected(Place(number, (addresses[0], own), "srun"), 20) as workers:
            return workers.addresses

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(run, range(2))
    assert one == two
    assert one[0] == addresses[0]
    assert one[1].startswith("localhost:")
    assert 0 < int(one[1].split(":")[1]) < 2**16


@pytest.mark.parametrize(
    ("number", "missing"), [(0, "1 (localhost:{1}) and worker 2 (localhost:{2})"), (1, "0 (localhost:{0})")]
)
def test_a_partner_that_never_comes(addresses, number, missing):
    ports = [address.split(":")[1] for address in addresses]
    began = time.monotonic()
    with pytest.raises(WorkerLost) as lost:
        Workers(Place(number, addresses, "TF_CONFIG"), 0.1)
    assert time.monotonic() - began < 5
    assert lost.value.exit_code == 75
    why = r" (Connection refused)" if number else ""
    assert str(lost.value) == (
        f"Worker {missing.format(*ports)} did not come within 0.1 seconds{why}. Start the same command for every "
        "worker of TF_CONFIG, or increase `worker_timeout`."
    )


@pytest.mark.parametrize(
    ("found_by", "remedy"),
    [
        ("TF_CONFIG", "change the port in TF_CONFIG on every machine."),
        ("srun", "start the job step again: its port follows from the numbers of the job and of the step."),
    ],
)
def test_a_port_that_another_program_has(addresses, found_by, remedy):
    port = addresses[0].split(":")[1]
    with socket.create_server(("", int(port))), pytest.raises(FarkerasError) as error:
        Workers(Place(0, addresses, found_by), 0.1)
    assert str(error.value) == (
        f"Worker 0 cannot use port {port} (Address already in use); expected a free port. End the other program, or "
        f"{remedy}"
    )


def test_a_program_that_is_no_chief(addresses):
    with socket.create_server(("", int(addresses[0].split(":")[1]))), pytest.raises(WorkerLost) as error:
        Workers(Place(1, addresses, "TF_CONFIG"), 0.1)
    assert "Worker 0 (localhost:" in str(error.value)


@pytest.mark.parametrize("dead", [0, 2])
def test_a_lost_worker(addresses, dead):
    def work(workers):
        workers.gather({})
        if workers.number == dead:  # as the system does when a process is killed
            workers._ended.set()
            for connection in workers._connections.values():
                connection.shutdown(socket.SHUT_RDWR)
            return "dead"
        assert workers.failed_within(20)
        said = []
        workers.when_lost = said.append
        workers.gather({})

    results = together(addresses, work)
    assert results.pop(dead) == "dead"
    said = f"Worker {dead} ({addresses[dead]}) was lost (its process ended). Start the same command for every worker "
    for error in results:
        assert isinstance(error, WorkerLost)
        assert error.exit_code == 75
        assert str(error) == said + "again; it continues from the last checkpoint."


def test_the_error_of_one_worker_ends_all(addresses):
    def work(workers):
        if workers.number == 1:
            raise FarkerasError("The disk is full.")
        workers.gather({})

    results = together(addresses, work)
    assert str(results[1]) == "The disk is full."
    for error in (results[0], results[2]):
        assert str(error) == f"Worker 1 ({addresses[1]}) has ended: The disk is full."
        assert error.exit_code == 1, "starting again would not help"


def test_a_run_that_was_stopped_loses_no_worker(addresses):
    def work(workers):
        workers.gather({})
        if workers.number:
            raise Stopped("stopped", 143)
        return workers.failed_within(0.1)

    results = together(addresses, work)
    assert results[0] is False
    assert [error.exit_code for error in results[1:]] == [143, 143]
