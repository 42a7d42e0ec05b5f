"""Crops of photographs: the pixels that prediction sees, one name for each, whatever the folders hold."""

import csv
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import farkeras
from farkeras.errors import FarkerasError
from farkeras.photos import face_landmarkers
from farkeras.photos.alignment import CROP_EYES, cut_crop
from farkeras.photos.crops import align_face, align_faces, align_photos, find_targets
from farkeras.photos.landmarks import EYES, find_eyes, find_faces
from tests import bad_images


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def stems(places, output):
    targets, errors = find_targets(places, output)
    assert errors == []
    return {str(target.photo): target.stem for target in targets}


def test_names_keep_sub_folders_and_never_collide(tmp_path):
    photos = tmp_path / "photos"
    touch(photos, "a.jpg", "a.png", "a.png.jpg", "A.JPG", "b/a.jpg", "b/.hidden/c.jpg", "b/.d.jpg", "b/notes.txt")
    (photos / "b/again").symlink_to(photos)
    assert stems([photos], tmp_path / "crops") == {
        f"{photos}/A.JPG": "A.JPG",
        f"{photos}/a.jpg": "a",
        f"{photos}/a.png": "a.png",
        f"{photos}/a.png.jpg": "a.png-2",
        f"{photos}/b/a.jpg": "b/a",
    }


def test_several_places_with_the_same_names(tmp_path):
    touch(tmp_path, "x/a.jpg", "y/a.jpg", "y/A-2.jpg", "z/a.jpg")
    places = [tmp_path / "x", tmp_path / "y", tmp_path / "z/a.jpg"]
    assert list(stems(places, tmp_path / "crops").values()) == ["a", "A-2", "a-3", "a-4"]


def test_folders_without_photos_are_named(tmp_path):
    touch(tmp_path, "x/notes.txt", "y/a.jpg")
    targets, (error,) = find_targets([tmp_path / "x", tmp_path / "y"], tmp_path / "crops")
    assert [target.stem for target in targets] == ["a"]
    assert error.startswith(f"{tmp_path}/x holds no photo")


@pytest.mark.parametrize(
    ("place", "output"),
    [("photos", "photos"), ("photos", "photos/crops"), ("photos", "."), ("photos/a.jpg", "photos"), ("link", "photos")],
)
def test_output_among_the_photos(tmp_path, place, output):
    touch(tmp_path, "photos/a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    with pytest.raises(FarkerasError, match=r"overlaps with the photo folder .*; set `output` to a separate folder"):
        find_targets([tmp_path / place], tmp_path / output)


def test_without_mediapipe(monkeypatch, tmp_path):
    pytest.importorskip("mediapipe.tasks.python.vision")  # half imported, it would fail in the tests below
    monkeypatch.setitem(sys.modules, "mediapipe.tasks.python.vision.face_landmarker", None)
    monkeypatch.setattr(face_landmarkers, "_pool", face_landmarkers._Pool())
    Image.new("RGB", (99, 99)).save(tmp_path / "a.jpg")
    with pytest.raises(FarkerasError, match=r"pip install 'farkeras\[keypoints\]'"):
        farkeras.align_face(tmp_path / "a.jpg")


def test_wrong_number_of_workers():
    with pytest.raises(FarkerasError, match="`workers` must be at least 1"):
        align_photos([], "crops", 0)


class TestFaces:
    @pytest.fixture(scope="class")
    def astronaut(self):
        pytest.importorskip("mediapipe")
        return pytest.importorskip("skimage.data").astronaut()

    @pytest.fixture(scope="class")
    def group(self, astronaut):
        """Two rows of three faces, each smaller than the one before; one lookup finds five at most."""
        face, canvas = Image.fromarray(astronaut[:256, 96:352]), np.full((512, 768, 3), 90, np.uint8)
        for i in range(6):
            row, column, side = i // 3, i % 3, 256 - 14 * i
            canvas[row * 256 :, column * 256 :][:side, :side] = face.resize((side, side))
        return canvas

    def test_the_largest_face_is_what_prediction_sees(self, astronaut):
        np.testing.assert_array_equal(farkeras.align_face(astronaut), cut_crop(astronaut, find_eyes(astronaut)))

    def test_a_photo_turned_by_exif(self, astronaut, tmp_path):
        """The camera stored it lying on its side."""
        lying = Image.fromarray(np.rot90(astronaut))
        (tmp_path / "a.png").write_bytes(bad_images.turned("PNG", lying))
        np.testing.assert_array_equal(align_face(tmp_path / "a.png"), align_face(astronaut))

    def test_a_photo_in_memory(self, astronaut):
        image = Image.fromarray(astronaut)
        bgr = np.ascontiguousarray(astronaut[..., ::-1])  # as OpenCV reads it
        for photo in (
            image,
            bad_images.encode(image, "PNG"),
            io.BytesIO(bad_images.encode(image, "PNG")),
            bgr[..., ::-1],
        ):
            np.testing.assert_array_equal(align_face(photo), align_face(astronaut))
        with pytest.raises(FarkerasError, match="The photo is None: the image could not be read"):
            align_face(None)
        with pytest.raises(FarkerasError, match="The photo is of type list; expected the path of an image file"):
            align_faces(["a.jpg"])

    def test_a_photo_of_16_bits(self, astronaut):
        grey = np.asarray(Image.fromarray(astronaut).convert("L"))
        deep = bad_images.encode(Image.fromarray(grey.astype(np.uint16) * 257), "PNG")
        np.testing.assert_array_equal(align_face(deep), align_face(np.repeat(grey[..., None], 3, axis=-1)))

    @pytest.mark.parametrize("mode", ["L", "CMYK"])
    def test_grey_and_cmyk_photos(self, astronaut, tmp_path, mode):
        Image.fromarray(astronaut).convert(mode).save(tmp_path / "a.jpg", quality=95)
        eyes = find_eyes(align_face(tmp_path / "a.jpg"))
        np.testing.assert_allclose(eyes, CROP_EYES, atol=1.5)

    def test_all_faces_the_largest_first(self, group):
        centres = np.array([face[list(EYES)].mean(axis=0) for face in find_faces(group)])
        assert [tuple(place) for place in (centres // 256).astype(int)] == [(i % 3, i // 3) for i in range(6)]
        crops = align_faces(group)
        assert len(crops) == 6
        for crop in crops:
            np.testing.assert_allclose(find_eyes(crop), CROP_EYES, atol=1.5)

    def test_one_near_face_is_one_face(self, astronaut):
        (face,) = find_faces(astronaut)
        np.testing.assert_array_equal(face[list(EYES)], find_eyes(astronaut))

    def test_no_face(self, astronaut):
        for function in (align_face, align_faces):
            with pytest.raises(FarkerasError, match="The photo: no face found; expected one that looks towards"):
                function(np.zeros((40, 30, 3), np.uint8))

    def test_too_small(self, astronaut, tmp_path):
        Image.new("RGB", (1, 1)).save(tmp_path / "a.png")
        for function in (align_face, align_faces):
            with pytest.raises(
                FarkerasError, match=r"a\.png has 1 x 1 pixels; expected at least 16 x 16\. Use a larger"
            ):
                function(tmp_path / "a.png")
            with pytest.raises(FarkerasError, match=r"The photo has 1 x 400 pixels; expected at least 16 x 16"):
                function(np.zeros((400, 1, 3), np.uint8))

    def test_something_else(self, astronaut):
        with pytest.raises(
            FarkerasError, match=r"expected a uint8 array \[height, width, 3\]. Received: float64 \[9, 9\]"
        ):
            align_face(np.zeros((9, 9)))

    def test_a_folder(self, astronaut, group, tmp_path):
        photos, output = tmp_path / "photos", tmp_path / "crops"
        (photos / "sub").mkdir(parents=True)
        Image.fromarray(astronaut).save(photos / "a.png")
        Image.fromarray(group).save(photos / "sub/a.png")
        (photos / "bomb.png").write_bytes(bad_images.png_bomb())
        (photos / "half.jpg").write_bytes(bad_images.half(bad_images.encode(Image.fromarray(astronaut))))
        (photos / "plain.jpg").write_bytes(bad_images.encode(bad_images.smooth_image()))
        targets, _ = find_targets([photos], output)
        calls = []
        crops, errors = align_photos(targets, output, 2, progress=lambda *call: calls.append(call))
        assert calls == [(0, 5), (5, 5)]
        bomb, half, plain = errors
        assert bomb.startswith(f"{photos}/bomb.png has more than 178,956,970 pixels")
        assert half.startswith(f"{photos}/half.jpg cannot be decoded (")
        assert plain.startswith(f"{photos}/plain.jpg: no face found")
        assert [(crop.path, crop.photo, crop.face) for crop in crops] == [
            ("a.png.jpg", photos / "a.png", 1),
            ("sub/a.png.jpg", photos / "sub/a.png", 1),
        ]
        np.testing.assert_allclose(crops[0].eyes, find_eyes(astronaut).ravel())
        files = sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())
        assert files == ["a.png.jpg", "crops.csv", "sub/a.png.jpg"]
        stored = np.array(Image.open(output / "a.png.jpg")).astype(int)
        assert np.abs(stored - align_face(astronaut)).mean() < 2
        with open(output / "crops.csv", newline="", encoding="utf-8") as file:
            first, _ = csv.DictReader(file)
        assert (first["crop"], first["photo"], first["face"]) == ("a.png.jpg", f"{photos}/a.png", "1")
        assert float(first["left_eye_x"]) == pytest.approx(crops[0].eyes[0], abs=0.01)

        again, _ = align_photos(targets, output, 1, all_faces=True)
        assert [crop.path for crop in again] == ["a.png_1.jpg", *(f"sub/a.png_{face}.jpg" for face in range(1, 7))]
        assert all((output / crop.path).is_file() for crop in again)

    def test_ctrl_c_leaves_whole_crops_and_the_list_of_before(self, astronaut, faces_dir, tmp_path):
        targets, _ = find_targets([faces_dir / "img_align_celeba"], tmp_path)
        align_photos(targets[:2], tmp_path, 1)
        before = (tmp_path / "crops.csv").read_text()

        def interrupt(done, total):
            if done:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            align_photos(targets[:40], tmp_path, 2, progress=interrupt)
        assert (tmp_path / "crops.csv").read_text() == before
        names = {path.name for path in tmp_path.iterdir()}
        assert {f"{number:06}.jpg" for number in range(1, 9)} < names
        for name in names - {"crops.csv"}:
            np.array(Image.open(tmp_path / name))  # whole

    def test_output_that_cannot_be_written(self, astronaut, tmp_path):
        (tmp_path / "file").touch()
        (tmp_path / "a.jpg").write_bytes(bad_images.encode(bad_images.smooth_image()))
        targets, _ = find_targets([tmp_path / "a.jpg"], tmp_path / "file/crops")
        with pytest.raises(FarkerasError, match=r"Cannot write crops to .*/file/crops \(Not a directory\); remove"):
            align_photos(targets, tmp_path / "file/crops", 1)


def test_paths_of_the_public_names():
    assert farkeras.align_face is align_face
    assert farkeras.align_faces is align_faces
    assert Path(farkeras.__file__).with_name("align.py").is_file()  # the command, which no function's name hides
