"""The store of facial points: exact, in any order, movable, continued after any end; annotation itself on few faces."""

import multiprocessing
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from farkeras.data import keypoints
from farkeras.data.examples import Examples
from farkeras.data.keypoints import annotate_images, decode_points, encode_points, fractions, load_keypoints
from farkeras.errors import FarkerasError
from farkeras.files import alone_in
from farkeras.photos.landmarks import FINDER, find_face
from tests.bad_images import encode, half, jpeg_bomb, png_bomb, smooth_image


def test_fractions_count_from_the_edge():
    # The image is 4 wide and 2 high: its edges lie half a pixel outside the outer pixels' centres.
    np.testing.assert_array_equal(
        fractions(np.array([[-0.5, -0.5], [3.5, 1.5], [0, 0]]), 2, 4), [[0, 0], [1, 1], [0.125, 0.25]]
    )


@pytest.mark.parametrize(
    ("fraction", "stored"),
    [(-0.5, 0), (0, 16384), (0.5, 32768), (1, 49152), (1.5, 65535), (-3, 0), (3, 65535), (1 / 32768, 16385)],
)
def test_fixed_point_by_hand(fraction, stored):
    points = encode_points(np.array([fraction]))
    assert (points.dtype, points[0]) == (np.uint16, stored)


def test_decoding_inverts_encoding():
    stored = np.arange(65536, dtype=np.uint16).reshape(-1, 2)
    points = decode_points(stored)
    assert (points.dtype, points.min(), points.max()) == (np.float32, -0.5, 1.5 - 2**-15)
    np.testing.assert_array_equal(encode_points(points), stored)
    any_points = np.random.default_rng(0).uniform(-0.5, 1.49, (1000, 2))
    assert np.abs(decode_points(encode_points(any_points)) - any_points).max() < 1.6e-5  # half a step


def test_tensors_decode_as_arrays_do():
    stored = np.array([[0, 16384], [40000, 65535]], np.uint16)
    tensor = decode_points(tf.constant(stored))
    assert tensor.dtype == tf.float32
    np.testing.assert_array_equal(tensor, decode_points(stored))


def store(folder, number, names, status=None, value=7, finder=FINDER):
    """Writes a part as annotation does; the points are `value` plus the image's number in the part."""
    points = np.full((len(names), 478, 2), value, np.uint16) + np.arange(len(names), dtype=np.uint16)[:, None, None]
    status = np.ones(len(names), np.int8) if status is None else np.array(status, np.int8)
    (folder / "keypoints").mkdir(parents=True, exist_ok=True)
    arrays = {"names": np.array(names), "status": status, "points": points}
    if finder:  # those of mediapipe 0.10.21 name none
        arrays["finder"] = np.array(finder)
    np.savez(folder / "keypoints" / f"part-{number:05}.npz", **arrays)


class TestLoading:
    def test_in_the_order_asked_for_across_parts(self, tmp_path):
        store(tmp_path, 0, ["images/a.jpg", "images/b.jpg"], value=10)
        store(tmp_path, 1, ["other/a.jpg", "c.jpg"], [1, 0], value=20)
        paths = [str(tmp_path / name) for name in ("other/a.jpg", "images/b.jpg", "c.jpg", "images/b.jpg")]
        loaded = load_keypoints(tmp_path, paths)
        assert (loaded.points.dtype, loaded.points.shape) == (np.uint16, (4, 478, 2))
        assert loaded.points[:, 0, 0].tolist() == [20, 11, 21, 11]
        assert loaded.found.tolist() == [True, True, False, True]

    def test_an_array_of_paths_as_sources_give_it(self, tmp_path):
        store(tmp_path, 0, ["images/a.jpg", "images/b.jpg"])
        loaded = load_keypoints(tmp_path, np.char.add(f"{tmp_path}/images/", np.array(["b.jpg", "a.jpg"])))
        assert loaded.points[:, 477, 1].tolist() == [8, 7]

    def test_of_two_parts_the_later_one_counts(self, tmp_path):
        store(tmp_path, 0, ["a.jpg"], [-1], value=10)
        store(tmp_path, 1, ["a.jpg"], [1], value=20)
        loaded = load_keypoints(tmp_path, [str(tmp_path / "a.jpg")])
        assert (loaded.points[0, 0, 0], loaded.found[0]) == (20, True)

    def test_the_folder_may_be_moved(self, tmp_path, monkeypatch):
        store(tmp_path / "before", 0, ["images/a.jpg"])
        shutil.move(tmp_path / "before", tmp_path / "after")
        assert load_keypoints(tmp_path / "after", [str(tmp_path / "after/images/a.jpg")]).found.all()
        monkeypatch.chdir(tmp_path)
        assert load_keypoints("./after/", ["after/images/a.jpg"]).found.all()

    def test_in_a_folder_of_their_own(self, tmp_path):
        store(tmp_path / "points", 0, ["a.jpg"])  # in points/keypoints
        paths, folder = [str(tmp_path / "faces" / "a.jpg")], tmp_path / "points" / "keypoints"
        assert load_keypoints(tmp_path / "faces", paths, keypoints_dir=folder).found.all()
        message = rf"no keypoints in {tmp_path}/empty, .* --data_dir=.*/faces --keypoints_dir={tmp_path}/empty$"
        with pytest.raises(FarkerasError, match=message):
            load_keypoints(tmp_path / "faces", paths, keypoints_dir=tmp_path / "empty")

    def test_no_images(self, tmp_path):
        assert load_keypoints(tmp_path, []).points.shape == (0, 478, 2)

    def test_images_that_are_not_annotated(self, tmp_path):
        folder = tmp_path / "my faces"
        store(folder, 0, ["a.jpg"])
        with pytest.raises(FarkerasError) as raised:
            load_keypoints(folder, [str(folder / name) for name in ("a.jpg", "b.jpg", "c.jpg")])
        assert str(raised.value) == (
            f"2 of 3 images have no keypoints in {folder / 'keypoints'}, the first is b.jpg. "
            f"Annotate the images first: python -m farkeras.annotate --data_dir='{folder}'"
        )
        with pytest.raises(FarkerasError, match=r"python -m farkeras\.annotate --source=lfwa --data_dir='"):
            load_keypoints(folder, [str(folder / "b.jpg")], "lfwa")

    def test_points_of_another_finder_are_refused_with_the_command_that_makes_them_anew(self, tmp_path):
        store(tmp_path, 0, ["a.jpg", "b.jpg"], finder=None)
        store(tmp_path, 1, ["b.jpg"])
        with pytest.raises(FarkerasError) as raised:
            load_keypoints(tmp_path, [str(tmp_path / name) for name in ("a.jpg", "b.jpg")])
        assert str(raised.value) == (
            f"1 of 2 images have no keypoints in {tmp_path / 'keypoints'} (those of mediapipe-0.10.21 are not used, "
            f"expected {FINDER}), the first is a.jpg. Annotate the images first: "
            f"python -m farkeras.annotate --data_dir={tmp_path}"
        )
        assert load_keypoints(tmp_path, [str(tmp_path / "b.jpg")]).found.all()

    def test_a_damaged_part(self, tmp_path):
        store(tmp_path, 0, ["a.jpg"])
        part = tmp_path / "keypoints" / "part-00000.npz"
        for damaged in (part.read_bytes()[:1000], b"", b"text"):
            part.write_bytes(damaged)
            with pytest.raises(FarkerasError, match=r"part-00000\.npz cannot be read.* Remove it"):
                load_keypoints(tmp_path, [str(tmp_path / "a.jpg")])


def annotate(folder, paths, workers, progress=None):
    """Annotates these image files."""
    return annotate_images(folder, [Examples((), np.array(list(map(str, paths)), str), None)], workers, progress)


@pytest.fixture
def few(faces_dir, tmp_path):
    """A folder of its own with five drawn faces, a blank image and a text; returned with the paths."""
    for number in range(1, 6):
        shutil.copy(faces_dir / "img_align_celeba" / f"{number:06}.jpg", tmp_path)
    Image.new("RGB", (178, 218)).save(tmp_path / "blank.png")
    (tmp_path / "text.jpg").write_text("text")
    return tmp_path, sorted(str(path) for path in tmp_path.iterdir())


class TestAnnotation:
    """Needs MediaPipe; parts of two images, so that five are several."""

    @pytest.fixture(autouse=True)
    def _small_parts(self, monkeypatch):
        pytest.importorskip("mediapipe")
        monkeypatch.setattr(keypoints, "_PART_SIZE", 2)
        monkeypatch.setattr(keypoints, "_TASK_SIZE", 1)

    def test_points_lie_where_the_finder_finds_them(self, few):
        folder, paths = few
        seen = []
        result = annotate(folder, paths, 1, lambda *counts: seen.append(counts))
        assert seen == [(done, 7) for done in range(8)]
        assert (result.num_images, result.without_face, result.undecodable) == (7, ["blank.png"], ["text.jpg"])
        assert result.listing.read_text() == "blank.png\tno face found\ntext.jpg\tcannot be decoded\n"
        loaded = load_keypoints(folder, paths)
        assert loaded.found.tolist() == [True] * 5 + [False] * 2
        assert not loaded.points[5:].any()
        with Image.open(paths[0]) as image:
            pixels = find_face(np.array(image))
        np.testing.assert_allclose(decode_points(loaded.points[0]), (pixels + 0.5) / (178, 218), atol=2e-5)

    def test_bombs_and_halves_are_undecodable(self, tmp_path):
        files = {"a.png": png_bomb(), "b.jpg": jpeg_bomb(), "c.jpg": half(encode(smooth_image()))}
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        result = annotate(tmp_path, [tmp_path / name for name in files], 1)
        assert result.undecodable == list(files)

    def test_the_bytes_do_not_depend_on_the_workers(self, few):
        folder, paths = few
        stores = []
        for workers in (1, 2):
            annotate(folder, paths, workers)
            stores.append({path.name: path.read_bytes() for path in (folder / "keypoints").glob("[!.]*")})
            shutil.rmtree(folder / "keypoints")
        assert stores[0] == stores[1]
        assert len(stores[0]) == 5

    def test_ctrl_c_keeps_what_is_done_and_the_next_run_continues(self, few):
        folder, paths = few

        def interrupt(done, total):
            if done == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            annotate(folder, paths, 2, interrupt)
        parts = sorted((folder / "keypoints").glob("part-*"))
        assert [len(np.load(part)["names"]) for part in parts] == [2, 1]
        before = [part.read_bytes() for part in parts]
        seen = []
        annotate(folder, paths, 2, lambda *counts: seen.append(counts))
        assert seen[0] == (3, 7)
        assert [part.read_bytes() for part in parts] == before
        assert load_keypoints(folder, paths).found.sum() == 5

    def test_only_what_is_new_or_was_undecodable_is_done(self, few):
        folder, paths = few
        annotate(folder, paths[:3], 1)
        annotate(folder, paths, 1)
        seen = []
        shutil.copy(paths[0], folder / "text.jpg")  # mended
        assert annotate(folder, paths, 1, lambda *counts: seen.append(counts)).undecodable == []
        assert seen == [(6, 7), (7, 7)]
        loaded = load_keypoints(folder, paths)
        np.testing.assert_array_equal(loaded.points[6], loaded.points[0])
        assert annotate(folder, paths, 1, lambda *counts: seen.append(counts)).num_images == 7
        assert len(seen) == 2  # nothing left to do

    def test_images_that_another_finder_annotated_are_done_anew(self, few):
        folder, paths = few
        store(folder, 0, [path.rsplit("/", 1)[1] for path in paths], finder=None)
        seen = []
        annotate(folder, paths, 1, lambda *counts: seen.append(counts))
        assert (seen[0], seen[-1]) == ((0, 7), (7, 7))
        assert load_keypoints(folder, paths).found.tolist() == [True] * 5 + [False] * 2

    def test_an_image_that_is_too_small_for_a_face(self, tmp_path):
        Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
        assert annotate(tmp_path, [tmp_path / "a.png"], 1).without_face == ["a.png"]

    def test_a_face_far_away_is_not_the_face_of_a_crop(self, tmp_path):
        canvas = np.full((1536, 1536, 3), 90, np.uint8)
        canvas[-512:, -512:] = pytest.importorskip("skimage.data").astronaut()
        assert find_face(canvas) is not None
        Image.fromarray(canvas).save(tmp_path / "a.png")
        assert annotate(tmp_path, [tmp_path / "a.png"], 1).without_face == ["a.png"]

    def test_an_image_is_not_turned_by_exif(self, few):
        folder, paths = few
        with Image.open(paths[0]) as image:
            exif = Image.Exif()
            exif[0x0112] = 3  # upside down; TensorFlow's decoder, which training uses, does not look at it
            image.save(folder / "exif.png", exif=exif)
            image.save(folder / "plain.png")
        both = [str(folder / "exif.png"), str(folder / "plain.png")]
        annotate(folder, both, 1)
        points = load_keypoints(folder, both).points
        np.testing.assert_array_equal(*points)

    def test_a_process_that_dies(self, few):
        folder, paths = few

        def kill(done, total):
            multiprocessing.active_children()[0].kill()

        with pytest.raises(FarkerasError, match=r"A process that looks for faces died, .* with fewer `workers`"):
            annotate(folder, paths, 1, kill)

    def test_beside_read_only_data(self, few):
        folder, paths = few
        (folder / "keypoints").write_text("as good as read-only")
        splits = [Examples((), np.array(paths[:1]), None)]
        result = annotate_images(folder, splits, 1, keypoints_dir=folder / "own")
        assert (result.num_images, result.listing) == (1, folder / "own" / "without_points.txt")
        assert load_keypoints(folder, paths[:1], keypoints_dir=folder / "own").found.all()

    def test_a_second_process_does_not_annotate_the_same_images(self, few):
        folder, paths = few
        message = r"keypoints is in use by process \d+ on .* Wait until it ends, or .* with `keypoints_dir`\."
        with alone_in(folder / "keypoints", ""), pytest.raises(FarkerasError, match=message):
            annotate(folder, paths, 1)

    def test_no_room_to_write(self, few):
        folder, paths = few
        (folder / "keypoints").write_text("in the way")
        with pytest.raises(FarkerasError, match=r"Cannot write .*keypoints \(File exists\).* with `keypoints_dir`"):
            annotate(folder, paths, 1)

    def test_a_killed_run_is_continued_and_leaves_no_process(self, few):
        folder, paths = few
        program = (
            "import os, signal, sys\n"
            "from farkeras.data import keypoints\n"
            "from tests.data import test_keypoints\n"
            "keypoints._PART_SIZE, keypoints._TASK_SIZE = 2, 1\n"
            "def kill(done, total):\n"
            "    if done == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
            "test_keypoints.annotate(sys.argv[1], sys.argv[2:], 2, kill)\n"
        )
        # The pipes of the output are shared by all processes: that this returns says that all have ended.
        done = subprocess.run([sys.executable, "-c", program, folder, *paths], capture_output=True, timeout=600)
        assert done.returncode == -9
        assert [path.name for path in (folder / "keypoints").glob("part-*")] == ["part-00000.npz"]
        seen = []
        annotate(folder, paths, 2, lambda *counts: seen.append(counts))
        assert seen[0] == (2, 7)
        assert load_keypoints(folder, paths).found.sum() == 5


def test_no_workers_is_an_error(tmp_path):
    with pytest.raises(FarkerasError, match="`workers` must be at least 1"):
        annotate(tmp_path, [], 0)
