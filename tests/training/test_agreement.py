"""Workers with different settings, versions or data do not start; the message names the difference."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from farkeras.attributes import Grouping
from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.training import agreement
from farkeras.training.agreement import agree_on_data, agree_on_settings, in_turn, undecodable_examples
from tests.training.test_workers import addresses, together  # noqa: F401 (a fixture)

AGAIN = "Start every worker with the same settings on machines of the same kind."


@pytest.fixture
def two(addresses):  # noqa: F811
    return addresses[:2]


def messages(results):
    assert all(isinstance(result, FarkerasError) for result in results), results
    assert {result.exit_code for result in results} == {1}
    return {str(result) for result in results}


def test_different_settings(two):
    one = Config(data_dir="/a", learning_rate=0.1)
    other = replace(one, data_dir="/b", learning_rate=0.2, data_service=("grpc://a:1",))
    results = together(two, lambda workers: agree_on_settings(workers, (one, other)[workers.number], 0))
    names = f"worker 0 ({two[0]}) has 0.1, worker 1 ({two[1]}) has 0.2"
    assert messages(results) == {f"The workers differ in `learning_rate`: {names}. {AGAIN}"}


def test_different_versions_and_machines(two, monkeypatch):
    here = threading.local()
    monkeypatch.setattr(agreement, "current_versions", lambda: {"keras": here.keras})

    def work(workers, versions, gpus):
        here.keras = versions[workers.number]
        agree_on_settings(workers, Config(), gpus[workers.number])

    names = f"worker 0 ({two[0]}) has {{}}, worker 1 ({two[1]}) has {{}}"
    results = together(two, lambda workers: work(workers, ("3.15.0", "3.15.1"), (0, 0)))
    differ = "The workers differ in the version of keras: " + names.format("3.15.0", "3.15.1")
    assert messages(results) == {f"{differ}. {AGAIN}"}
    results = together(two, lambda workers: work(workers, ("1", "1"), (8, 4)))
    assert messages(results) == {f"The workers differ in the number of GPUs: {names.format(8, 4)}. {AGAIN}"}


def test_different_data_and_groups(two):
    def work(workers, groups, labels):
        data = SimpleNamespace(grouping=Grouping({"all": groups[workers.number]}))
        agree_on_data(workers, data, {"data": {"names": "a", "labels": labels[workers.number]}})

    between = f"between worker 0 ({two[0]}) and worker 1 ({two[1]}). Give every worker the same data and groups."
    results = together(two, lambda workers: work(workers, (("Hat",), ("Hat",)), ("1", "2")))
    assert messages(results) == {f"The workers differ in their labels {between}"}
    results = together(two, lambda workers: work(workers, (("Hat",), ("Hat", "Fringe")), ("1", "1")))
    assert messages(results) == {f"The workers differ in the groups of `grouping` {between}"}


def test_the_chief_opens_the_data_first(two):
    order = []
    together(two, lambda workers: in_turn(workers, lambda: order.append(workers.number)))
    assert order == [0, 1]


def test_undecodable_images_are_found_once_by_all(two, tmp_path, monkeypatch):
    """Of 150 images, each worker decodes every second; images 4 and 7 are damaged."""
    decoded = []

    class Split:
        def __init__(self, rows):
            self.paths = np.array([f"{row}.jpg" for row in rows])

        def take(self, rows):
            return Split(rows)

        def __len__(self):
            return len(self.paths)

    def find(examples, preprocessing):
        decoded.append(len(examples))
        return [path for path in examples.paths if path in damaged]

    monkeypatch.setattr(agreement, "find_undecodable", find)
    data = SimpleNamespace(train=Split(range(150)), preprocessing=None)
    damaged = ["7.jpg"]
    for _ in range(2):  # the second time from the chief's file
        results = together(two, lambda workers: undecodable_examples(workers, tmp_path / str(workers.number), data))
        assert [rows.tolist() for rows in results] == [[7], [7]]
    assert decoded == [75, 75]
    assert not (tmp_path / "1").exists()
    damaged.append("4.jpg")
    results = together(two, lambda workers: undecodable_examples(workers, tmp_path / "new", data))
    (message,) = messages(results)
    assert "2 of 150 images cannot be decoded" in message
