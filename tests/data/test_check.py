"""Twenty planted faults are found and named, and nothing else is; what stops training is told from what does not."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from farkeras.consistency.rules import read_rules
from farkeras.data.check import Place, check_data_set
from farkeras.data.examples import Examples
from farkeras.data.sources import opening as sources
from farkeras.errors import FarkerasError
from tests import bad_images

NUM_IMAGES, NUM_TRAIN, NUM_VALIDATION = 240, 192, 24
BLANKS = " An empty cell means unknown, not no: write 0 where an attribute is absent."


class Folder:
    """A copy of the generator's folder in which faults are planted."""

    def __init__(self, folder):
        self.folder = folder
        self._attributes = folder / "list_attr_celeba.txt"
        self.names = self._attributes.read_text().splitlines()[1].split()

    def image(self, number):
        return self.folder / f"img_align_celeba/{number:06}.jpg"

    def place(self, number, detail=None):
        split = "train" if number <= NUM_TRAIN else "validation" if number <= NUM_TRAIN + NUM_VALIDATION else "test"
        return Place(f"img_align_celeba/{number:06}.jpg", split, detail)

    def edit(self, file, line, change):
        """Replaces one line, counted from 1, of a list; the line goes where `change` gives None."""
        lines = (self.folder / file).read_text().splitlines()
        new = change(lines[line - 1])
        lines[line - 1 : line] = [] if new is None else [new]
        (self.folder / file).write_text("\n".join(lines) + "\n")

    def label(self, number, positive):
        """Makes `positive` the only positive attributes of an image beside what no other excludes."""

        def change(line):
            name, *values = line.split()
            named = dict(zip(self.names, values, strict=True))
            named |= {attribute: "-1" for rule in read_rules() for attribute in rule.attributes}
            return " ".join([name, *(named | dict.fromkeys(positive, "1")).values()])

        self.edit("list_attr_celeba.txt", number + 2, change)


@pytest.fixture
def folder(faces_dir, tmp_path):
    shutil.copytree(faces_dir, tmp_path / "faces")
    return Folder(tmp_path / "faces")


def found(report):
    """Kind -> the findings of it; one class only, or few labels of one, is natural in splits of 24 images."""
    kinds = {}
    for finding in report.findings:
        if finding.kind not in ("one class", "few labels"):
            kinds.setdefault(finding.kind, []).append(finding)
    return kinds


def test_a_sound_folder(faces_dir):
    calls = []
    report = check_data_set("celeba", str(faces_dir), 2, progress=lambda *call: calls.append(call))
    assert found(report) == {}
    assert not report.training_fails
    assert {name: split.num_images for name, split in report.splits.items()} == {
        "train": NUM_TRAIN,
        "validation": NUM_VALIDATION,
        "test": NUM_IMAGES - NUM_TRAIN - NUM_VALIDATION,
    }
    labels = sources.open_source("celeba", str(faces_dir)).split("train").labels
    assert report.splits["train"].known == dict.fromkeys(report.attributes, NUM_TRAIN)
    assert list(report.splits["train"].positive.values()) == (labels == 1).sum(axis=0).tolist()
    assert calls[-1] == (NUM_IMAGES, NUM_IMAGES)


def test_fifteen_faults_at_once(folder):
    contents = {
        3: b"",
        200: bad_images.half(folder.image(200).read_bytes()),
        230: b"not an image",
        50: bad_images.HTML,
        220: bad_images.png_bomb(),
        51: bad_images.encode(bad_images.smooth_image(), "TIFF"),
        7: folder.image(231).read_bytes(),
        201: folder.image(8).read_bytes(),
        10: folder.image(9).read_bytes(),
        60: bad_images.encode(Image.new("RGB", (1, 1))),
        61: bad_images.turned(),
    }
    for number, content in contents.items():
        folder.image(number).write_bytes(content)
    folder.image(202).unlink()
    folder.label(70, ["No_Beard", "Goatee"])
    folder.label(203, ["Bald", "Bangs"])
    folder.label(232, ["Black_Hair", "Gray_Hair"])

    report = check_data_set("celeba", str(folder.folder))
    kinds = found(report)
    place = folder.place
    assert {kind: [set(finding.images) for finding in findings] for kind, findings in kinds.items()} == {
        "missing": [{place(202)}],
        "undecodable": [
            {
                place(3, "is empty (0 bytes)"),
                place(200, "is truncated or damaged"),
                place(230, "is not an image"),
                place(50, "is a web page: the download was refused"),
                place(220, "has more than 178,956,970 pixels"),
                place(51, "is a TIFF image, not JPEG or PNG"),
            }
        ],
        "shared": [
            {
                place(231, "the same bytes as img_align_celeba/000007.jpg (train)"),
                place(201, "the same bytes as img_align_celeba/000008.jpg (train)"),
            }
        ],
        "duplicate": [{place(10, "the same bytes as img_align_celeba/000009.jpg (train)")}],
        "contradiction": [{place(70)}, {place(203)}, {place(232)}],
        "odd size": [{place(60, "1 x 1")}],
        "turned": [{place(61)}],
    }
    assert [finding.summary for finding in kinds["contradiction"]] == [
        "1 image is labelled No_Beard with Goatee.",
        "1 image is labelled Bald with Bangs.",
        "1 image is labelled Black_Hair with Gray_Hair.",
    ]
    assert [finding.kind for finding in report.findings if finding.training_fails] == ["missing", "undecodable"]
    assert report.findings[:2] == (*kinds["missing"], *kinds["undecodable"])
    train = report.splits["train"]
    assert (train.num_images, train.missing, train.undecodable) == (NUM_TRAIN, 0, 3)
    assert json.loads(json.dumps(report.to_dict()))["findings"][1]["images"][0] == {
        "path": "img_align_celeba/000003.jpg",
        "split": "train",
        "detail": "is empty (0 bytes)",
    }


@pytest.mark.parametrize(
    ("plant", "kind", "summary"),
    [
        (
            lambda folder: folder.edit("list_attr_celeba.txt", 1, lambda _: "241"),
            "source",
            "list_attr_celeba.txt is truncated or was edited: line 1 says 241 images, but the file has 240 rows",
        ),
        (
            lambda folder: folder.edit("list_attr_celeba.txt", 2, lambda line: line.replace(" Young", "")),
            "source",
            "list_attr_celeba.txt, line 2: column 'Young' is missing",
        ),
        (
            lambda folder: folder.edit("list_eval_partition.txt", 9, lambda _: "000009.jpg 3"),
            "source",
            "list_eval_partition.txt, line 9 (000009.jpg): expected 0 or 1 or 2 in every column. Received: 3",
        ),
        (
            lambda folder: [
                folder.edit("list_eval_partition.txt", line, lambda row: row[:-1] + "0") for line in range(193, 217)
            ],
            "split",
            "The split 'validation' of ",
        ),
    ],
    ids=["count", "column", "code", "empty split"],
)
def test_four_faults_that_stop_training_before_an_image_is_read(folder, plant, kind, summary):
    plant(folder)
    report = check_data_set("celeba", str(folder.folder))
    ((finding,),) = found(report).values()
    assert finding.kind == kind
    assert summary in finding.summary
    assert finding.training_fails
    assert report.training_fails


class Memory:
    """A source of whatever splits are given."""

    def __init__(self, attributes, **splits):
        self.attributes, self._splits = attributes, splits

    def split(self, name):
        paths, labels = self._splits[name]
        if not paths:
            raise FarkerasError(f"The split '{name}' is empty.")
        labels = np.array(labels, np.int8).reshape(-1, len(self.attributes))
        return Examples(self.attributes, np.array([str(path) for path in paths], str), labels)


@pytest.fixture
def check(monkeypatch, tmp_path):
    """Checks a source with these splits, of `tmp_path`."""

    def run(attributes=("a",), settings=None, **splits):
        monkeypatch.setitem(sources.SOURCES, "memory", lambda *_: Memory(attributes, **splits))
        return check_data_set("memory", str(tmp_path), settings=settings)

    return run


def images(folder, count, size=(40, 40)):
    """PNG files of one colour, each another."""
    rng, paths = np.random.default_rng(len(list(folder.iterdir()))), []
    for _ in range(count):
        paths.append(folder / f"{len(list(folder.iterdir()))}.png")
        Image.new("RGB", size, tuple(rng.integers(0, 256, 3).tolist())).save(paths[-1])
    return paths


def test_one_undecodable_image_in_a_hundred_does_not_stop_training(check, tmp_path):
    one, two, three = images(tmp_path, 100), images(tmp_path, 2), images(tmp_path, 2)
    one[5].write_bytes(b"")
    splits = {"validation": (two, [0, 1]), "test": (three, [0, 1])}
    report = check(train=(one, [0, 1] * 50), **splits)
    (finding,) = report.findings
    assert (finding.kind, finding.training_fails) == ("undecodable", False)
    assert finding.summary == "1 image is undecodable. Training leaves undecodable images out."
    report = check(train=(one[:99], [1] + [0, 1] * 49), **splits)
    assert report.training_fails
    (finding,) = report.findings
    assert finding.summary.endswith("In train, more than the allowed 1% cannot be used; replace them.")


def test_unknown_labels_are_not_counted(check, tmp_path):
    one, two, three = (images(tmp_path, 3) for _ in range(3))
    labels = [[-1, 1], [0, -1], [1, 1]]
    report = check(("a", "b"), train=(one, labels), validation=(two, labels), test=(three, [[-1, 0]] * 3))
    assert report.splits["train"].known == {"a": 2, "b": 2}
    assert report.splits["train"].positive == {"a": 1, "b": 2}
    assert [finding.summary for finding in report.findings] == [
        f"In train, these attributes lack labels of both classes: b (always positive).{BLANKS}",
        f"In validation, these attributes lack labels of both classes: b (always positive).{BLANKS}",
        "In test, these attributes lack labels of both classes: a (never labelled), b (never positive).",
    ]


def test_few_labels_of_one_class(check, tmp_path):
    paths = images(tmp_path, 66)
    splits = {
        "train": (paths[:24], [[1, 1]] * 5 + [[0, 0]] * 19),
        "validation": (paths[24:48], [[1, 1]] * 4 + [[0, -1]] * 20),
        "test": (paths[48:], [[1, 0]] * 2 + [[0, 1]] * 16),  # too small for a list of the few
    }
    few = [finding for finding in check(("a", "b"), **splits).findings if finding.kind == "few labels"]
    assert [(finding.summary, finding.training_fails) for finding in few] == [
        ("In validation, fewer than 5 images have the rarer label of: a (4).", False)
    ]


def test_an_empty_split_and_a_path_in_two(check, tmp_path):
    one = images(tmp_path, 2)
    report = check(train=(one, [0, 1]), validation=(one, [0, 1]), test=([], []))
    first, second = report.findings
    assert (first.kind, first.summary, first.training_fails) == ("split", "The split 'test' is empty.", True)
    assert second.kind == "shared"
    assert [(place.path, place.split) for place in second.images] == [("0.png", "validation"), ("1.png", "validation")]


def test_sizes_where_there_is_no_usual_one(check, tmp_path):
    usual = [path for i in range(8) for path in images(tmp_path, 1, (50 + i, 40))]
    odd = images(tmp_path, 1, (31, 40)) + images(tmp_path, 1, (40, 121))
    splits = {"validation": (images(tmp_path, 2), [0, 1]), "test": (images(tmp_path, 2), [0, 1])}
    (finding,) = check(train=(usual + odd, [0, 1] * 5), **splits).findings
    assert finding.kind == "odd size"
    assert [place.detail for place in finding.images] == ["31 x 40", "40 x 121"]


def test_key_points_that_nobody_has_found(check, tmp_path):
    splits = {name: (images(tmp_path, 2), [0, 1]) for name in ("train", "validation", "test")}
    (finding,) = check(("a",), {"model": "mgmtn"}, **splits).findings
    assert (finding.kind, finding.training_fails) == ("keypoints", True)
    assert finding.summary.startswith(f"4 of 4 images have no keypoints in {tmp_path}/keypoints, the first is ")
    assert not check(("a",), {"model": "far_amtn"}, **splits).findings


def test_blank_for_no_stops_training(check, tmp_path):
    one, two, three = (images(tmp_path, 3) for _ in range(3))
    labels = [[1, -1], [-1, 1], [1, 1]]
    splits = {"train": (one, labels), "validation": (two, labels), "test": (three, labels)}
    report = check(("a", "b"), {"select_by": "mean_balanced_accuracy", "batch_size": 4}, **splits)
    assert [(finding.kind, finding.summary) for finding in report.findings if finding.training_fails] == [
        ("settings", "The training split has 3 images, fewer than `batch_size=4`. Lower `batch_size`."),
        (
            "labels",
            "Nothing can be learned from the training split: expected an attribute with positive and negative labels, "
            f"but a is always positive (and 1 more).{BLANKS}",
        ),
        (
            "labels",
            "`select_by=mean_balanced_accuracy` is undefined on the validation split, so no model would be kept: "
            "none of the attributes has positive and negative labels in its 3 images. Label more of them, or enlarge "
            f"the split.{BLANKS}",
        ),
    ]
    both = f"a (always positive), b (always positive).{BLANKS}"
    assert [finding.summary for finding in report.findings if finding.kind == "one class"] == [
        f"In {name}, these attributes lack labels of both classes: {both}" for name in ("train", "validation", "test")
    ]


def test_a_validation_split_without_labels_chooses_no_model(check, tmp_path):
    one, two, three = (images(tmp_path, 2) for _ in range(3))
    splits = {"train": (one, [0, 1]), "test": (three, [0, 1])}
    report = check(("a",), {"select_by": "mean_accuracy"}, validation=(two, [-1, -1]), **splits)
    assert report.findings[0].summary == (
        "`select_by=mean_accuracy` is undefined on the validation split, so no model would be kept: none of the "
        "attributes has a known label in its 2 images. Label more of them, or enlarge the split."
    )
    assert not check(("a",), {"select_by": "mean_accuracy"}, validation=(two, [-1, 1]), **splits).training_fails


def test_only_what_the_grouping_trains_is_judged(check, tmp_path):
    one, two, three = (images(tmp_path, 2) for _ in range(3))
    labels = [[1, -1], [0, -1]]
    splits = {"train": (one, labels), "validation": (two, labels), "test": (three, labels)}
    groups = tmp_path / "groups.json"
    groups.write_text('{"first": ["a"]}')
    assert check(("a", "b"), {"grouping": str(groups)}, **splits).findings == ()
    groups.write_text('{"first": ["b"]}')
    assert check(("a", "b"), {"grouping": str(groups)}, **splits).findings[0].kind == "labels"
    groups.write_text('{"first": ["z"]}')
    finding, *_ = check(("a", "b"), {"grouping": str(groups)}, **splits).findings
    assert (finding.kind, finding.training_fails) == ("settings", True)
    assert finding.summary == (
        f"{groups}: Group 'first' lists 'z', which is not an attribute of the data. Known: a, b."
    )
    # The default is CelebA's: whoever has named no grouping yet asks about the data alone.
    assert not check(("a", "b"), {"grouping": "mgmtn8"}, **splits).training_fails


def test_a_table_of_ones_own(tmp_path):
    for number in range(6):
        Image.new("RGB", (178, 218), (40 * number,) * 3).save(tmp_path / f"{number}.png")
    (tmp_path / "4.png").write_text("text")
    splits = ("train", "train", "train", "validation", "test", "test")
    rows = [f"{number}.png,{split},{number % 2},1,1\n" for number, split in enumerate(splits)]
    (tmp_path / "faces.csv").write_text("file,split,Smile,Bald,Bangs\n" + "".join(rows))
    report = check_data_set("table", str(tmp_path / "faces.csv"), settings={"image_column": "file"})
    assert report.attributes == ("Smile", "Bald", "Bangs")
    images = {finding.kind: [place.path for place in finding.images] for finding in report.findings}
    assert images["undecodable"] == ["4.png"]  # as the table names it
    assert images["contradiction"] == [f"{number}.png" for number in range(6)]
    (tmp_path / "rules.toml").write_text('shipped = false\n[[rule]]\nif = "Smile"\nnever = ["Bald"]\n')
    own = check_data_set(
        "table", str(tmp_path / "faces.csv"), None, None, None, {"image_column": "file"}, tmp_path / "rules.toml"
    )
    assert [f.summary for f in own.findings if f.kind == "contradiction"] == ["3 images are labelled Smile with Bald."]
    (finding,) = check_data_set("table", str(tmp_path / "faces.csv")).findings
    assert "has no column 'image' for the images" in finding.summary


def test_wrong_number_of_workers():
    with pytest.raises(FarkerasError, match="`workers` must be at least 1"):
        check_data_set("celeba", "folder", 0)
