"""The owner of the face finders: exact under threads, bounded, whole after errors and forks, and silent on the network.

What holds for a process is tried in one of its own.
"""

import concurrent.futures
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from farkeras.errors import FarkerasError
from farkeras.photos import face_landmarkers
from farkeras.photos.face_landmarkers import POOL_SIZE, _Pool, find_meshes
from farkeras.photos.landmarks import find_face
from tests.long_process import FIND_A_FACE, NO_NETWORK

pytest.importorskip("mediapipe")


def run(code, seconds=600):
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FIND_A_FACE + code],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@pytest.fixture(scope="module")
def photos():
    """25 photographs: the portrait, turned, mirrored and in several sizes; two have no face."""
    from PIL import Image

    portrait = Image.fromarray(pytest.importorskip("skimage.data").astronaut())
    turned = [portrait.rotate(degrees) for degrees in range(-30, 31, 6)]
    scaled = [portrait.resize((side, side)) for side in range(150, 450, 25)]
    return [np.array(photo) for photo in (*turned, *scaled)] + [np.zeros((90, 90, 3), np.uint8)] * 2


def test_eight_threads_find_what_one_finds(photos):
    assert len(photos) == 25
    alone = [find_face(photo) for photo in photos]
    assert [face is None for face in alone] == [False] * 23 + [True] * 2
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        together = threads.map(lambda _: [find_face(photo) for photo in photos], range(8))
        for found in together:
            for one, other in zip(found, alone, strict=True):
                np.testing.assert_array_equal(one, other)


def test_the_pool_makes_no_more_than_it_may(photos, monkeypatch):
    made, make = [], face_landmarkers._make_landmarker
    monkeypatch.setattr(face_landmarkers, "_make_landmarker", lambda: made.append(make()) or made[-1])
    monkeypatch.setattr(face_landmarkers, "_pool", _Pool())
    find_face(photos[0])
    find_face(photos[1])
    assert len(made) == 1
    with concurrent.futures.ThreadPoolExecutor(4 * POOL_SIZE) as threads:
        list(threads.map(find_face, photos))
    assert len(made) <= POOL_SIZE
    for landmarker in made:
        landmarker.close()


def test_threads_that_end_leave_nothing_behind():
    done = run("""
import gc, os, threading
def count():
    gc.collect()
    memory = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return memory, len(os.listdir("/proc/self/task"))
small = photo[:220, 110:340]
find_face(small)
before = count()
for _ in range(120):
    thread = threading.Thread(target=find_face, args=[small])
    thread.start()
    thread.join()
after = count()
print(after[0] - before[0], after[1] - before[1])
""")
    assert done.returncode == 0, done.stderr
    memory, threads = map(float, done.stdout.split())
    assert memory < 100
    assert threads <= 8


class Failing:
    """A landmarker whose next lookup fails."""

    def __init__(self, error):
        self._lib, self._handle, self.error, self.closed = self, None, error, False

    def MpFaceLandmarkerDetectImage(self, *_):
        raise self.error

    def close(self):
        self.closed = True


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (RuntimeError("graph has errors"), FarkerasError, r"MediaPipe failed to look for faces \(graph has errors\)"),
        (ValueError("bad packet"), FarkerasError, r"MediaPipe failed to look for faces \(bad packet\); try again"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
    ],
)
def test_one_that_fails_is_closed_and_replaced(photos, monkeypatch, error, raised, message):
    expected, failing = find_meshes(photos[0]), Failing(error)
    monkeypatch.setattr(face_landmarkers._pool, "_idle", [*face_landmarkers._pool._idle, failing])
    with pytest.raises(raised, match=message):
        find_meshes(photos[0])
    assert failing.closed
    for _ in range(2 * POOL_SIZE):  # its place is free again
        np.testing.assert_array_equal(find_meshes(photos[0]), expected)


def test_ctrl_c_during_a_lookup():
    """The native call is under way when Python gives up waiting for it; the next photograph is right."""
    done = run("""
import signal, threading, time
expected = find_face(photo)
large = numpy.tile(photo, (8, 8, 1))
def stop(*_): raise KeyboardInterrupt
signal.signal(signal.SIGALRM, stop)
stopped = 0
for i in range(10):
    signal.setitimer(signal.ITIMER_REAL, 0.003 + 0.002 * i)
    try:
        find_face(large)
    except KeyboardInterrupt:
        stopped += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
numpy.testing.assert_array_equal(find_face(photo), expected)
print(stopped)
""")
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_finds_the_same():
    """As a server's workers are forked from a process that has loaded a model and tried it."""
    done = run("""
import os, signal
expected = find_face(photo)
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        signal.alarm(60)
        for _ in range(3):
            numpy.testing.assert_array_equal(find_face(photo), expected)
        sys.exit()
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 3
numpy.testing.assert_array_equal(find_face(photo), expected)
print("same")
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "same\n", "")


def test_the_end_of_a_process_is_silent():
    """Where threads have looked for faces, or still do; nor is anything printed when landmarkers are made."""
    done = run("""
import threading
from farkeras.errors import FarkerasError
def look():
    try:
        while True: find_face(photo)
    except FarkerasError as error:
        assert "looking for faces (" in str(error) or "to look for faces (" in str(error)
threads = [threading.Thread(target=look) for _ in range(4)]
for thread in threads: thread.start()
find_face(photo)
print("end")
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_the_filter_of_the_next_test_sees_native_look_ups():
    if platform.machine() != "x86_64" or sys.platform != "linux":
        pytest.skip("the filter is written for Linux on x86_64")
    done = run(NO_NETWORK + "import socket; socket.getaddrinfo('example.org', 80)")
    assert done.returncode == -31  # SIGSYS


def test_no_connection_is_opened(long_process):
    """While a face is found, for a minute after it, and at the end of the process."""
    if platform.machine() != "x86_64" or sys.platform != "linux":
        pytest.skip("the filter is written for Linux on x86_64")
    output, errors = long_process.communicate(timeout=600)
    assert (long_process.returncode, output, errors) == (0, b"found\n", b"")
