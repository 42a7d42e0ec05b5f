"""Training examples from tf.data service: those of this machine, in their order, from one server or several."""

import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

from farkeras.data.augmentation import Augmentation
from farkeras.data.keypoints import load_keypoints
from farkeras.data.pipeline import left_out, training_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.service import check_server, start_server
from farkeras.data.sources.opening import open_source
from farkeras.errors import FarkerasError
from farkeras.metrics.history import read_history
from farkeras.models.model_file import load_model
from farkeras.training.reporting import Listener
from farkeras.training.run import train_and_evaluate
from tests.training.small_run import small_config

STRONG = Augmentation(True, 0.2, 0.2, 30, 0.3, 0.3, 0.3)


@pytest.fixture(scope="module")
def servers():
    """Three, in this process."""
    return [start_server() for _ in range(3)]


def addresses(servers):
    return tuple(server.address for server in servers)


def shown(examples, servers=(), start=0, stop=250, keypoints=None, finished=True):
    crop = Preprocessing((16, 12))
    dataset = training_dataset(
        examples, crop, STRONG, 8, 3, start, stop, keypoints, addresses(servers), finished=finished
    )
    batches = list(dataset.as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("count", [1, 3])
def test_same_examples_in_the_same_order_from_any_counter(annotated_dir, servers, count):
    examples = open_source("celeba", str(annotated_dir)).split("train")
    keypoints = load_keypoints(annotated_dir, examples.paths)
    here = shown(examples, keypoints=keypoints)
    assert_equal(shown(examples, servers[:count], keypoints=keypoints), here)
    rest = shown(examples, servers[:count], start=88, keypoints=keypoints)
    assert_equal(rest, {name: values[88:] for name, values in here.items()})


def test_images_that_the_training_device_finishes(annotated_dir, servers):
    examples = open_source("celeba", str(annotated_dir)).split("train")
    here, served = (shown(examples, where, stop=40, finished=False) for where in ((), servers[:2]))
    assert here["image"].dtype == np.uint8
    assert_equal(served, here)


def test_undecodable_images_are_left_out(faces_dir, servers, tmp_path):
    shutil.copytree(faces_dir, tmp_path / "faces")
    examples = open_source("celeba", str(tmp_path / "faces")).split("train")
    for path in examples.paths[:40]:  # more than a chunk
        Path(path).write_bytes(b"no image")
    here = shown(examples)
    assert len(left_out(here["counter"], 0, 192)) == 40
    assert_equal(shown(examples, servers), here)


def test_a_run_continues_with_other_machines(faces_dir, servers, tmp_path):
    class Stopped(Exception):
        pass

    settings = {"epochs": 1.0, "augment_shift": 0.1, "replicas": 2}
    train_and_evaluate(small_config(faces_dir, **settings), tmp_path / "here")
    served = small_config(faces_dir, **settings, data_service=addresses(servers[:2]), checkpoint_every_steps=5)

    class StopAt8(Listener):
        def on_train(self, run, record):
            if record["step"] >= 8:
                raise Stopped

    with pytest.raises(Stopped):
        train_and_evaluate(served, tmp_path / "served", [StopAt8()])
    train_and_evaluate(small_config(faces_dir, **settings, data_service=addresses(servers[2:])), tmp_path / "served")
    assert read_history(tmp_path / "served" / "metrics.jsonl")[-1]["step"] == 12
    models = [load_model(tmp_path / name)[0] for name in ("here", "served")]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("address", ["machine:5050", "grpc://machine", "grpc://machine:port", "http://machine:5050"])
def test_what_is_no_address(address):
    with pytest.raises(FarkerasError, match=f"addresses such as grpc://machine:5050. Received: '{address}'"):
        check_server(address)


def test_a_server_that_does_not_answer(faces_dir, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    config = small_config(faces_dir, data_service=(f"grpc://localhost:{port}",))
    message = rf"No data server answers at grpc://localhost:{port} \(.*\)\. Start it .*serve_data --port={port}, or"
    with pytest.raises(FarkerasError, match=message):
        train_and_evaluate(config, tmp_path)


def test_a_port_that_another_server_has(servers):
    port = int(servers[0].address.rsplit(":", 1)[1])
    with pytest.raises(FarkerasError, match=rf"Cannot serve at port {port} \(Address already in use\); expected two"):
        start_server(port=port)
