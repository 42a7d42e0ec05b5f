"""LFWA's official folder: what is read, and one sentence for each thing wrong."""

import shutil

import h5py
import numpy as np
import pytest
from PIL import Image

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.sources.lfwa import FRAME, LFWA
from farkeras.errors import FarkerasError
from farkeras.synthetic.matlab_files import write_matlab

# Ten people for training, of whom one is kept for validation, and three for the test; some have two images.
PEOPLE = [f"Ann_{letter}" for letter in "abcdefghijkmn"]
IMAGES = [f"{person}\\{person}_{number:04d}.jpg" for person in PEOPLE for number in range(1, 3 - (person < "Ann_h"))]
LABELS = np.random.default_rng(0).integers(0, 2, (len(IMAGES), 40))
TEST = [i for i, image in enumerate(IMAGES) if image[:5] in PEOPLE[10:]]
TRAIN = [i for i in range(len(IMAGES)) if i not in TEST]


def table(**changes):
    return {"AttrName": CELEBA_ATTRIBUTES, "label": LABELS, "name": IMAGES} | changes


def splits(train=TRAIN, test=TEST):
    return {
        "indices_img_train": np.array(train)[:, None] + 1,
        "indices_img_test": np.array(test)[None, :] + 1,  # a row or a column
    }


@pytest.fixture
def official(tmp_path):
    for image in IMAGES:
        path = tmp_path / "lfw" / image.replace("\\", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (250, 250)).save(path)
    write_matlab(tmp_path / "lfw_att_40.mat", table())
    write_matlab(tmp_path / "indices_train_test.mat", splits())
    return tmp_path


def error(folder):
    with pytest.raises(FarkerasError) as raised:
        LFWA(folder)
    message = str(raised.value)
    assert "\n" not in message
    return message


def files(examples):
    return [path.rsplit("/", 1)[1] for path in examples.paths]


def test_official_folder(official):
    lfwa = LFWA(official)
    assert lfwa.attributes == CELEBA_ATTRIBUTES
    test = lfwa.split("test")
    assert files(test) == [IMAGES[i].split("\\")[1] for i in TEST]
    np.testing.assert_array_equal(test.labels, LABELS[TEST])
    assert test.people.tolist() == [IMAGES[i].split("\\")[0] for i in TEST]
    assert (test.labels.dtype, test.landmarks, test.frame) == (np.int8, None, FRAME)
    with Image.open(test.paths[0]) as image:
        assert image.size == (250, 250)


def test_validation_is_a_tenth_of_the_training_people(official):
    lfwa = LFWA(official)
    train, validation = lfwa.split("train"), lfwa.split("validation")
    assert sorted(files(train) + files(validation)) == [IMAGES[i].split("\\")[1] for i in TRAIN]
    people = [{name[:5] for name in files(part)} for part in (train, validation)]
    assert (len(people[0]), len(people[1]), people[0] & people[1]) == (9, 1, set())
    assert files(validation) == ["Ann_a_0001.jpg"]  # the same on every machine


def test_who_is_kept_does_not_depend_on_the_order(official):
    order = np.random.default_rng(1).permutation(len(IMAGES))
    write_matlab(official / "lfw_att_40.mat", table(name=[IMAGES[i] for i in order], label=LABELS[order]))
    place = np.argsort(order)
    write_matlab(official / "indices_train_test.mat", splits(place[TRAIN], place[TEST]))
    lfwa = LFWA(official)
    assert files(lfwa.split("validation")) == ["Ann_a_0001.jpg"]
    np.testing.assert_array_equal(lfwa.split("validation").labels, LABELS[:1])


def test_attributes_are_matched_by_name_whatever_their_blanks(official):
    order = np.random.default_rng(1).permutation(40)
    names = [f" {CELEBA_ATTRIBUTES[i].replace('_', ' ')} " if i % 2 else CELEBA_ATTRIBUTES[i] for i in order]
    write_matlab(official / "lfw_att_40.mat", table(AttrName=names, label=LABELS[:, order]))
    np.testing.assert_array_equal(LFWA(official).split("test").labels, LABELS[TEST])


def test_labels_of_minus_one_and_one(official):
    write_matlab(official / "lfw_att_40.mat", table(label=2 * LABELS - 1))
    np.testing.assert_array_equal(LFWA(official).split("test").labels, LABELS[TEST])


def test_images_that_are_in_neither_split(official):
    write_matlab(official / "indices_train_test.mat", splits(test=TEST[1:]))
    assert len(LFWA(official).split("test")) == len(TEST) - 1


def test_images_out_of_a_zip(official):
    shutil.make_archive(official / "lfw", "zip", official, "lfw")
    shutil.rmtree(official / "lfw")
    calls = []
    lfwa = LFWA(official, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1]
    with Image.open(lfwa.split("train").paths[0]) as image:
        assert image.size == (250, 250)


def test_split_that_does_not_exist_or_is_empty(official):
    with pytest.raises(FarkerasError, match="no split 'val'; expected train, validation, test"):
        LFWA(official).split("val")
    write_matlab(official / "indices_train_test.mat", splits(train=TRAIN[:1]))
    with pytest.raises(FarkerasError, match=r"'validation' of .* is empty.*two people"):
        LFWA(official).split("validation")


def test_no_folder(tmp_path):
    message = error(tmp_path / "nowhere")
    assert "does not exist" in message
    assert "mmlab.ie.cuhk.edu.hk" in message


@pytest.mark.parametrize("name", ["lfw_att_40.mat", "indices_train_test.mat"])
def test_missing_file(official, name):
    (official / name).unlink()
    message = error(official)
    assert f"has no {name}; get it from" in message
    assert "non-commercial" in message


def test_no_images_at_all(official):
    shutil.rmtree(official / "lfw")
    assert "neither lfw/ nor lfw.zip" in error(official)


def test_images_that_are_listed_but_not_there(official):
    (official / "lfw/Ann_b/Ann_b_0001.jpg").unlink()
    shutil.rmtree(official / "lfw/Ann_h")
    assert f"lacks 3 of the {len(IMAGES)} listed images; the first is Ann_b/Ann_b_0001.jpg" in error(official)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lambda whole: b"\n<!DOCTYPE html><html>Quota exceeded</html>", "is an HTML page, not a MATLAB file"),
        (lambda whole: b"", "is empty"),
        (lambda whole: b"MATLAB 5.0 MAT-file, Platform: PCWIN64".ljust(200), "is a MATLAB v5 file; expected v7.3"),
        (lambda whole: b"lfw_att_40", "is not a MATLAB v7.3 file, which is HDF5 (10 bytes)"),
        (lambda whole: whole[:400], "is not a MATLAB v7.3 file, which is HDF5 (400 bytes)"),
        (lambda whole: whole[: len(whole) // 2], "is truncated or damaged"),
    ],
)
@pytest.mark.parametrize("name", ["lfw_att_40.mat", "indices_train_test.mat"])
def test_something_else_in_place_of_a_file(official, name, content, expected):
    path = official / name
    path.write_bytes(content(path.read_bytes()))
    message = error(official)
    assert expected in message
    assert str(path) in message


def test_a_folder_in_place_of_a_file(official):
    (official / "lfw_att_40.mat").unlink()
    (official / "lfw_att_40.mat").mkdir()
    assert "Cannot read" in error(official)


def at(values, *place, value):
    changed = np.array(values, float)
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"AttrName": ["Beard", *CELEBA_ATTRIBUTES[1:]]}, "unknown attribute 'Beard' in 'AttrName'; expected 5_o_"),
        ({"AttrName": CELEBA_ATTRIBUTES[2:]}, "'5_o_Clock_Shadow' (and 1 more) is not in 'AttrName'; expected 40"),
        ({"AttrName": [*CELEBA_ATTRIBUTES, " Young"]}, "attribute 'Young' is in 'AttrName' twice"),
        ({"AttrName": np.ones((40, 1))}, "'AttrName' must be a cell array of strings. Received: float64 [1, 40]"),
        ({"label": list(CELEBA_ATTRIBUTES)}, "'label' must be a matrix of numbers. Received: object [1, 40]"),
        ({"label": LABELS[1:]}, f"'label' is {len(IMAGES) - 1} x 40; expected {len(IMAGES)} x 40"),
        ({"label": LABELS.T}, f"'label' is 40 x {len(IMAGES)}; expected {len(IMAGES)} x 40"),
        ({"label": at(LABELS, 2, 39, value=2)}, "label of Ann_c/Ann_c_0001.jpg, Young is 2; expected 0 or 1"),
        ({"label": at(2 * LABELS - 1, 2, 39, value=0)}, "Young is 0; expected -1 or 1, as in the rest"),
        ({"label": at(LABELS, 0, 0, value=np.nan)}, "5_o_Clock_Shadow is nan; expected 0 or 1"),
        (
            {"name": [*IMAGES[:-1], IMAGES[0]]},
            f"entry {len(IMAGES)} of 'name' lists Ann_a/Ann_a_0001.jpg a second time",
        ),
        ({"name": ["..\\a.jpg", *IMAGES[1:]]}, "entry 1 of 'name' is '..\\a.jpg'; expected a person's folder"),
        ({"name": ["a.jpg", *IMAGES[1:]]}, "entry 1 of 'name' is 'a.jpg'; expected a person's folder"),
    ],
)
def test_broken_label_file(official, changes, expected):
    write_matlab(official / "lfw_att_40.mat", table(**changes))
    message = error(official)
    assert expected in message
    assert str(official / "lfw_att_40.mat") in message


def test_a_variable_that_is_not_there(official):
    write_matlab(official / "lfw_att_40.mat", {"AttrName": CELEBA_ATTRIBUTES, "name": IMAGES})
    assert "has no variable 'label'; found AttrName, name." in error(official)


def test_a_cell_that_is_not_a_string(official):
    with h5py.File(official / "lfw_att_40.mat", "r+") as file:
        file["name"][0, 1] = file["label"].ref
    assert "cell 2 of 'name' is not a string" in error(official)


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        ([*TRAIN, len(IMAGES)], TEST, f"is {len(IMAGES) + 1}; expected whole numbers from 1 to {len(IMAGES)}"),
        ([-1, *TRAIN], TEST, "entry 1 of 'indices_img_train' is 0; expected whole numbers from 1"),
        ([0.5, *TRAIN], TEST, "entry 1 of 'indices_img_train' is 1.5; expected whole numbers"),
        ([np.nan, *TRAIN], TEST, "entry 1 of 'indices_img_train' is nan; expected whole numbers"),
        ([TRAIN[0], *TRAIN], TEST, "image 1 is in 'indices_img_train' more than once"),
        (TRAIN, [0, *TEST], "image 1 is in 'indices_img_train' and in 'indices_img_test'"),
        (TRAIN + TEST[:1], TEST[1:], "Ann_k is in the training split (Ann_k/Ann_k_0001.jpg) and in the test split"),
    ],
)
def test_broken_index_file(official, train, test, expected):
    write_matlab(official / "indices_train_test.mat", splits(train, test))
    message = error(official)
    assert expected in message
    assert str(official / "indices_train_test.mat") in message
