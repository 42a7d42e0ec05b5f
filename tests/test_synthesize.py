"""`farkeras.synthesize`: the files, byte for byte, and what it says when something is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.procedural import is_procedural
from farkeras.data.shortcuts import read_pixels, score_folds
from farkeras.data.sources.celeba import CelebA
from farkeras.data.sources.lfwa import LFWA
from farkeras.data.sources.opening import open_source
from farkeras.data.sources.source import filled_splits
from farkeras.data.subgroups import find_subgroups, find_table
from farkeras.errors import FarkerasError
from farkeras.synthetic import generate as generation
from farkeras.synthetic import sheet
from farkeras.synthetic.celeba import file_name, partition
from farkeras.synthetic.drawing import STYLES
from farkeras.synthetic.generate import FaceSettings, draw_faces
from farkeras.synthetic.lfwa import portraits
from farkeras.synthetic.palette import skin, tone_class
from farkeras.synthetic.sheet import check_contact_sheet, write_contact_sheet


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A folder with 240 faces."""
    folder = tmp_path_factory.mktemp("synthesize") / "faces"
    assert draw_faces(FaceSettings(240, seed=2), folder, num_workers=2)
    return folder


def _labels(folder: Path, layout: str) -> np.ndarray:
    source = open_source(layout, str(folder))
    return np.concatenate([examples.labels for examples in filled_splits(source).values()])


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_files_are_celebas(faces):
    lines = (faces / "list_attr_celeba.txt").read_text().splitlines()
    assert lines[0] == "240"
    assert tuple(lines[1].split()) == CELEBA_ATTRIBUTES
    first = lines[2].split()
    assert first[0] == "000001.jpg"
    assert len(first) == 41
    assert set(first[1:]) == {"1", "-1"}
    landmarks = (faces / "list_landmarks_align_celeba.txt").read_text().splitlines()
    assert landmarks[1].split()[::9] == ["lefteye_x", "rightmouth_y"]
    assert len(landmarks[2].split()) == 11
    assert (faces / "list_eval_partition.txt").read_text().startswith("000001.jpg 0\n")
    with Image.open(faces / "img_align_celeba" / "000240.jpg") as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (178, 218))


def test_the_loader_reads_them(faces):
    splits = [CelebA(faces).split(name) for name in ("train", "validation", "test")]
    assert [len(split) for split in splits] == [192, 24, 24]
    assert abs(splits[0].landmarks[:, 0] - (69, 111)).max() < 20


@pytest.mark.parametrize(("count", "parts"), [(1, [1, 0, 0]), (3, [1, 1, 1]), (1000, [800, 100, 100])])
def test_partition(count, parts):
    assert np.bincount(partition(count), minlength=3).tolist() == parts


def test_the_bytes_do_not_depend_on_the_workers(faces, tmp_path):
    small = _contents(faces)
    for workers in (1, 2):
        draw_faces(FaceSettings(6, seed=2), tmp_path / str(workers), workers)
    one, two = _contents(tmp_path / "1"), _contents(tmp_path / "2")
    assert one == two
    # ... nor on how many images there are.
    assert all(one[name] == small[name] for name in one if name.endswith(".jpg"))


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A folder with 60 faces in LFWA's layout."""
    folder = tmp_path_factory.mktemp("synthesize") / "people"
    assert draw_faces(FaceSettings(60, seed=2, layout="lfwa"), folder, num_workers=2)
    return folder


def test_the_files_are_lfwas(people):
    with h5py.File(people / "lfw_att_40.mat") as file:
        assert {"AttrName", "label", "name"} < set(file)
        assert file["label"].shape == (40, 60)  # as MATLAB stores 60 x 40
        assert file["label"].dtype == np.float64
        assert set(np.unique(file["label"])) == {0, 1}
        name = file[file["name"][0, 1]]
        assert (name.dtype, name.shape[1]) == (np.uint16, 1)
        assert bytes(name[:, 0].astype(np.uint8)) == b"Drawn_Person_000002\\Drawn_Person_000002_0001.jpg"
        assert bytes(file[file["AttrName"][0, 0]][:, 0].astype(np.uint8)) == b" 5 o Clock Shadow"
    with h5py.File(people / "indices_train_test.mat") as file:
        images = [file[f"indices_img_{name}"][0] for name in ("train", "test")]
        assert images[0].dtype == np.float64
        assert sorted(np.concatenate(images)) == list(range(1, 61))
        assert {"indices_identity_train", "indices_identity_test"} < set(file)
    assert (people / "lfw_att_40.mat").read_bytes().startswith(b"MATLAB 7.3 MAT-file, ")
    with Image.open(people / "lfw/Drawn_Person_000001/Drawn_Person_000001_0001.jpg") as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (250, 250))
    assert is_procedural(str(people))


def test_lfwas_loader_reads_them(people):
    splits = [LFWA(people).split(name) for name in ("train", "validation", "test")]
    assert sum(map(len, splits)) == 60
    persons = [{Path(path).parent.name for path in split.paths} for split in splits]
    assert persons[0].isdisjoint(persons[1])
    assert (persons[0] | persons[1]).isdisjoint(persons[2])
    assert sum(map(len, persons)) < 45  # some have several images


def test_a_person_looks_alike_in_all_images(people):
    examples = LFWA(people).split("train")
    persons = np.array([Path(path).parent.name for path in examples.paths])
    names, counts = np.unique(persons, return_counts=True)
    labels = examples.labels[persons == names[counts.argmax()]]
    lasting = [CELEBA_ATTRIBUTES.index(name) for name in ("Male", "Young", "Black_Hair", "Big_Nose", "Narrow_Eyes")]
    assert (labels[:, lasting] == labels[0, lasting]).all()
    assert (labels != labels[0]).any()


def test_lfwas_bytes_depend_on_neither_the_workers_nor_the_number_of_images(people, tmp_path):
    for workers in (1, 2):
        draw_faces(FaceSettings(7, seed=2, layout="lfwa"), tmp_path / str(workers), workers)
    one, two, more = _contents(tmp_path / "1"), _contents(tmp_path / "2"), _contents(people)
    assert one == two
    assert all(one[name] == more[name] for name in one if name.endswith(".jpg"))


def test_people_have_as_many_images_as_in_lfw():
    counts = np.bincount([portrait.person for portrait in portraits(1, 5000)])
    assert 2.0 < counts.mean() < 2.6  # 13,233 images of 5,749 people
    assert 0.67 < (counts == 1).mean() < 0.74  # of whom 4,069 have one


def test_label_noise_is_in_the_file_only(faces, tmp_path):
    draw_faces(FaceSettings(12, seed=2, label_noise=0.3), tmp_path / "noisy")
    labels = [
        np.array([line.split()[1:] for line in (folder / "list_attr_celeba.txt").read_text().splitlines()[2:14]])
        for folder in (faces, tmp_path / "noisy")
    ]
    assert 0.2 < (labels[0] != labels[1]).mean() < 0.4
    name = "img_align_celeba/000012.jpg"
    assert (faces / name).read_bytes() == (tmp_path / "noisy" / name).read_bytes()


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    """The 240 faces in the held-out style."""
    folder = tmp_path_factory.mktemp("synthesize") / "held_out"
    assert draw_faces(FaceSettings(240, seed=2, style="held_out"), folder, num_workers=2)
    return folder


def test_the_held_out_style_has_the_same_lists_and_other_images(faces, held_out):
    standard, other = _contents(faces), _contents(held_out)
    assert set(standard) == set(other)
    for name, content in standard.items():
        assert (content == other[name]) == name.endswith((".txt", ".csv")), name


@pytest.mark.parametrize("layout", generation.LAYOUTS)
def test_the_test_split_alone_is_that_of_the_whole_set(tmp_path, layout):
    whole, part = tmp_path / "whole", tmp_path / "part"
    draw_faces(FaceSettings(30, 2, layout), whole)
    draw_faces(FaceSettings(30, 2, layout, part="test"), part)
    drawn = {name: content for name, content in _contents(part).items() if name.endswith(".jpg")}
    assert drawn == {name: content for name, content in _contents(whole).items() if name in drawn}
    both = [open_source(layout, str(folder)).split("test") for folder in (whole, part)]
    assert 0 < len(drawn) == len(both[1].paths) < 30
    assert [Path(path).name for path in both[0].paths] == [Path(path).name for path in both[1].paths]
    np.testing.assert_array_equal(both[0].labels, both[1].labels)


def test_a_set_too_small_for_a_test_split_has_no_part_to_draw(tmp_path):
    with pytest.raises(FarkerasError, match="A set of 2 faces has no test split; increase `num_images` to 3 or more"):
        draw_faces(FaceSettings(2, part="test"), tmp_path / "part")
    assert not (tmp_path / "part").exists()


def test_the_held_out_style_has_a_lower_jpeg_quality(faces, held_out):
    for index in range(5):
        tables = []
        for folder in (faces, held_out):
            with Image.open(folder / "img_align_celeba" / file_name(index)) as image:
                tables.append(sum(image.quantization[0]))
        assert tables[0] < tables[1]


def test_the_pairs_of_a_contact_sheet_are_drawn_in_its_style(held_out, tmp_path, monkeypatch):
    styles = []

    def drawn(_face, _rng, style):
        styles.append(style)
        return np.zeros((218, 178, 3), np.uint8), None

    monkeypatch.setattr(sheet, "render", drawn)
    write_contact_sheet(tmp_path / "sheet.png", held_out, rows=1, style="held_out")
    assert styles == ["held_out"] * 80


@pytest.mark.parametrize("layout", generation.LAYOUTS)
def test_noise_in_the_labels_does_not_depend_on_the_style(tmp_path, layout):
    for style in STYLES:
        draw_faces(FaceSettings(4, 2, layout, 0.3, style), tmp_path / style)
    np.testing.assert_array_equal(*(_labels(tmp_path / style, layout) for style in STYLES))


def test_a_set_from_before_the_styles_is_recognised(faces):
    """Its `synthesize.json` has no style, and neither has that of a new set in the standard style."""
    stored = json.loads((faces / "synthesize.json").read_text())
    assert stored == {"num_images": 240, "seed": 2, "layout": "celeba", "label_noise": 0.0, "drawing": 3}
    with pytest.raises(FarkerasError, match=r"holds faces made with .*, not with .*'style': 'held_out'"):
        draw_faces(FaceSettings(240, seed=2, style="held_out"), faces)


@pytest.mark.parametrize("style", STYLES)
def test_border_and_file_size_tell_nothing(style, request):
    source = CelebA(request.getfixturevalue("faces" if style == "standard" else style))
    splits = [source.split(name) for name in ("train", "validation", "test")]
    pixels = read_pixels(splits)
    labels = np.concatenate([part.labels for part in pixels])
    for features in ("border", "size"):
        seen = np.concatenate([getattr(p, features) for p in pixels])
        for name, score in zip(CELEBA_ATTRIBUTES, score_folds(seen, labels), strict=True):
            if name != "Blurry" and np.isfinite(score.value):  # blur is the whole image's
                assert score.value < 0.58 + 3 * score.error, f"{name} from {features}"


@pytest.mark.parametrize(("set_of", "layout", "first"), [
    ("faces", "celeba", "000001.jpg"), ("people", "lfwa", "Drawn_Person_000001/Drawn_Person_000001_0001.jpg")
])  # fmt: skip
def test_the_skin_tones_are_in_a_table_of_subgroups(set_of, layout, first, request):
    folder = request.getfixturevalue(set_of)
    header, *rows = (folder / "subgroups.csv").read_text().splitlines()
    assert (header, rows[0].split(",")[0]) == ("image,skin", first)
    source = open_source(layout, str(folder))
    brightness = {"light": [], "medium": [], "dark": []}
    for split, examples in filled_splits(source).items():
        tones = find_table("", folder, examples.paths).column("skin").tolist()
        if split == "train":
            assert find_subgroups(["auto"], source, split, examples, find_table("", folder, examples.paths)).keys() == {
                *("Male", "Young", "skin")
            }
        for path, tone in zip(examples.paths, tones, strict=True):
            with Image.open(path) as image:
                size = np.array(image.size)
                cheek = image.crop((*(size * (0.4, 0.6)).astype(int), *(size * (0.45, 0.65)).astype(int)))
                brightness[tone].append(np.asarray(cheek.convert("L")).mean())
    means = {tone: np.mean(values) for tone, values in brightness.items()}
    assert means["light"] > means["medium"] + 15 > means["dark"] + 30
    if set_of == "people":
        tone_of = [(row.split("/")[0], row.split(",")[1]) for row in rows]
        assert len(set(tone_of)) == len({person for person, _ in tone_of})  # a person keeps the tone


def test_an_older_set_gets_its_skin_tones_and_keeps_all_other_bytes(tmp_path, monkeypatch):
    draw_faces(FaceSettings(6, seed=2), tmp_path / "faces")
    complete = _contents(tmp_path / "faces")
    (tmp_path / "faces" / "subgroups.csv").unlink()
    monkeypatch.setattr(generation.LAYOUTS["celeba"], "write_face", None)  # nothing is drawn again
    assert not draw_faces(FaceSettings(6, seed=2), tmp_path / "faces")
    assert _contents(tmp_path / "faces") == complete


def test_the_classes_of_skin_tones():
    random = np.random.default_rng(0)
    tones = [tone_class(skin(random, pale=random.random() < 0.043)[1]) for _ in range(4000)]
    shares = [tones.count(name) / 4000 for name in ("light", "medium", "dark")]
    np.testing.assert_allclose(shares, (0.54, 0.24, 0.22), atol=0.02)
    assert skin(random, pale=True)[1] == 0


def test_a_complete_set_is_left_alone(faces):
    before = _contents(faces)
    assert not draw_faces(FaceSettings(240, seed=2), faces)
    assert _contents(faces) == before


def test_another_set_is_not_overwritten(faces, tmp_path):
    with pytest.raises(FarkerasError, match="holds faces made with"):
        draw_faces(FaceSettings(240, seed=3), faces)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FarkerasError, match="not empty"):
        draw_faces(FaceSettings(3), tmp_path)
    with pytest.raises(FarkerasError, match="is a file"):
        draw_faces(FaceSettings(3), tmp_path / "mine.txt")


@pytest.mark.parametrize("layout", generation.LAYOUTS)
@pytest.mark.parametrize("step", ["write_face", "write_lists"])
def test_a_failure_leaves_nothing(tmp_path, monkeypatch, layout, step):
    def fail(*_):
        raise RuntimeError("disk full")

    monkeypatch.setattr(generation.LAYOUTS[layout], step, fail)
    with pytest.raises(RuntimeError, match="disk full"):
        draw_faces(FaceSettings(3, layout=layout), tmp_path / "faces")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_images": 0}, "`num_images` must be between 1 and 999999"),
        ({"num_images": 1_000_000}, "999999"),
        ({"num_images": 3, "seed": -1}, "`seed` must be at least 0. Received: -1"),
        ({"num_images": 3, "layout": "vgg"}, "`layout` must be one of celeba, lfwa. Received: 'vgg'"),
        ({"num_images": 3, "label_noise": 0.6}, "Received: 0.6"),
        ({"num_images": 3, "part": "train"}, "`part` must be one of all, test. Received: 'train'"),
        ({"num_images": 3, "style": "oil"}, "`style` must be one of standard, held_out. Received: 'oil'"),
        ({"num_images": 3, "label_noise": float("nan")}, "Received: nan"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(FarkerasError, match=message):
        FaceSettings(**settings)


def test_no_workers_is_an_error(tmp_path):
    with pytest.raises(FarkerasError, match="`num_workers` must be at least 1"):
        draw_faces(FaceSettings(3), tmp_path / "faces", num_workers=0)


def test_the_contact_sheets_folder_is_made(faces, tmp_path):
    write_contact_sheet(tmp_path / "missing" / "sheet.png", faces)
    assert [path.name for path in (tmp_path / "missing").iterdir()] == ["sheet.png"]


def test_the_contact_sheet_of_lfwa_shows_what_celebas_frame_holds(people, tmp_path):
    write_contact_sheet(tmp_path / "sheet.png", people, "lfwa", rows=1)
    with (
        Image.open(tmp_path / "sheet.png") as sheet,
        Image.open(people / "lfw/Drawn_Person_000001/Drawn_Person_000001_0001.jpg") as image,
    ):
        shown = np.asarray(sheet.crop((0, 0, 178, 218)), float)
        face = np.asarray(image.crop((36, 1, 214, 219)), float)  # where it was drawn: nearly the same part
    assert abs(shown - face).mean() < 10


def test_a_contact_sheet_that_cannot_be_written_leaves_the_old_one(faces, tmp_path, monkeypatch):
    def fail(self, path, *_):
        Path(path).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    (tmp_path / "sheet.png").write_text("old")
    with pytest.raises(FarkerasError, match=r"Cannot write .*sheet\.png \(No space left on device\); choose another"):
        write_contact_sheet(tmp_path / "sheet.png", faces)
    assert (tmp_path / "sheet.png").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_faces_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    message = r"Cannot write .*file/faces \(File exists\); remove the file .* name another with `output`\."
    with pytest.raises(FarkerasError, match=message):
        draw_faces(FaceSettings(4), tmp_path / "file/faces")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    message = r"^Cannot write .*faces \(No space left on device\); free disk space or make the folder writable, or name"
    with pytest.raises(FarkerasError, match=message):
        draw_faces(FaceSettings(4), tmp_path / "faces")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("sheet.jpg", r"A contact sheet is a PNG file, so its name must end in \.png\. Received: .*sheet\.jpg\."),
        ("folder.png", r"Cannot write .*folder\.png: it is a folder; choose another place"),
        ("file/a/sheet.png", r"Cannot write .*sheet\.png: .*file is a file; choose another place"),
    ],
)
def test_places_for_no_contact_sheet(place, message, tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(FarkerasError, match=message):
        check_contact_sheet(tmp_path / place)


def _run(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=600, check=False)


def test_the_command_writes_faces_and_a_contact_sheet(tmp_path):
    flags = ["--num_images=3", "--num_workers=1", f"--output={tmp_path / 'faces'}"]
    done = _run("-m", "farkeras.synthesize", *flags, f"--contact_sheet={tmp_path / 'sheet.png'}")
    assert done.returncode == 0, done.stderr
    assert "3 procedural faces" in done.stdout
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 1780
    again = _run("-m", "farkeras.synthesize", *flags)
    assert (again.returncode, "already exist" in again.stdout) == (0, True)
    wrong = _run("-m", "farkeras.synthesize", *flags, "--style=held_out")
    assert (wrong.returncode, wrong.stderr.startswith("error: ")) == (1, True)


def test_the_contact_sheets_place_is_looked_at_before_the_faces_are_drawn(tmp_path):
    done = _run("-m", "farkeras.synthesize", f"--output={tmp_path / 'faces'}", "--contact_sheet=sheet.jpg")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: A contact sheet is a PNG file, so its name must end in .png. Received: sheet.jpg.\n"
    assert not list(tmp_path.iterdir())


def test_tensorflow_is_not_imported():
    done = _run("-c", "import sys, farkeras.synthesize; sys.exit('tensorflow' in sys.modules)")
    assert done.returncode == 0, done.stderr
