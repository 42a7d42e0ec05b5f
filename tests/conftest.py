"""Two logical CPUs for the tests of replicas, set before TensorFlow starts; small data shared by all tests."""

import os
from importlib.util import find_spec

import pytest

from farkeras.native_logs import without_native_logs
from tests import long_process as long_process_module

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # for the processes that tests start
if find_spec("tensorflow"):  # not in the environment of make test-torch
    with without_native_logs():  # TensorFlow 2.21 heeds only what was set before this process started
        import tensorflow as tf

        (_cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(_cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


LONG = ("tests/training/test_resume", "tests/test_wheel", "tests/test_readme", "tests/training/", "tests/serving/")
"""Files that take minutes; they come first, so that the processes of `make test` end at the same time."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: next((rank for rank, name in enumerate(LONG) if name in item.nodeid), len(LONG)))


_long_process = pytest.StashKey()


def pytest_collection_finish(session):
    if any("long_process" in getattr(item, "fixturenames", ()) for item in session.items):
        session.stash[_long_process] = long_process_module.start()


@pytest.fixture(scope="session")
def long_process(request):
    """A process that finds a face, waits and ends, see tests/long_process.py."""
    with request.session.stash[_long_process] as process:
        yield process
        process.kill()


def pytest_addoption(parser):
    group = parser.getgroup("serving", "the server that tests/serving speaks to; see tests/serving/conftest.py")
    group.addoption("--serving_target", help="host:port of its gRPC; by default a local server is started")
    group.addoption("--serving_rest_target", help="host:port of its REST")
    group.addoption("--serving_models", help="absolute path of the folder with the models that it serves")


@pytest.fixture
def file_size_limit():
    """`limit(bytes)`: larger files cannot be written, as on a full disk. Undone at the end."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="session")
def faces_dir(tmp_path_factory):
    """240 procedural faces in CelebA's layout."""
    from farkeras.synthetic.generate import FaceSettings, draw_faces

    folder = tmp_path_factory.mktemp("data") / "faces"
    draw_faces(FaceSettings(num_images=240, seed=1), folder, 2)
    return folder


@pytest.fixture(scope="session")
def annotated_dir(faces_dir, tmp_path_factory):
    """The same faces with stored keypoints: a schematic face, somewhere else in each image; one was not found."""
    import numpy as np

    from farkeras.data.keypoints import encode_points
    from farkeras.photos.landmarks import FINDER
    from tests.schematic_face import FRAME, schematic_face

    folder = tmp_path_factory.mktemp("annotated") / "faces"
    folder.mkdir()
    for path in faces_dir.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "keypoints").mkdir()
    names = sorted(f"img_align_celeba/{path.name}" for path in (faces_dir / "img_align_celeba").iterdir())
    status = np.ones(len(names), np.int8)
    status[3] = 0
    shift = np.random.default_rng(0).uniform(-0.1, 0.1, (len(names), 1, 2))
    points = encode_points(schematic_face() / FRAME[::-1] + shift)
    part = folder / "keypoints" / "part-00000.npz"
    np.savez(part, names=names, status=status, points=points, finder=FINDER)
    return folder
