"""Two folds of a step each: who predicts whom, what a second call does, and the three files."""

import base64
import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from farkeras.data.examples import Examples
from farkeras.data.sources.opening import open_source
from farkeras.errors import FarkerasError
from farkeras.report.label_page import label_page
from farkeras.training.building import open_data
from farkeras.training.label_audit import (
    audit_with_folds,
    audit_with_run,
    folds_of_splits,
    without_rows,
    without_weights,
)
from farkeras.training.label_files import write_audit
from farkeras.training.reporting import Listener
from tests.training.small_run import small_config


class Trained(Listener):
    """Notes the images that a run trains on and validates on."""

    def __init__(self):
        self.paths = {}

    def on_start(self, run, step):
        self.paths = {"train": set(run.data.train.paths), "validation": set(run.data.validation.paths)}


@pytest.fixture(scope="module")
def config(faces_dir):
    return small_config(faces_dir, epochs=0, warmup_epochs=0, weighting_warmup_epochs=0)


@pytest.fixture(scope="module")
def audited(config, tmp_path_factory):
    """The audit of all images, its workdir, and what the runs of the two folds saw."""
    workdir, trained = tmp_path_factory.mktemp("audit") / "run", {"fold_1": Trained(), "fold_2": Trained()}
    audit = audit_with_folds(config, workdir, "all", 2, lambda name: [trained[name]])
    return audit, workdir, trained


def test_each_image_is_predicted_by_the_model_that_has_not_seen_it(audited, faces_dir):
    audit, workdir, trained = audited
    source = open_source("celeba", str(faces_dir))
    for part in audit.parts:
        every = set(source.split(part.split).paths)
        assert part.decodable.all()
        assert (part.probabilities > 0).all()
        seen = [run.paths.get(part.split, set()) for run in trained.values()]
        if part.split == "test":
            assert seen == [set(), set()]
        else:  # each half by one of them
            assert seen[0] | seen[1] == every
            assert not seen[0] & seen[1]
    for number, name in enumerate(trained):
        with np.load(workdir / name / "out_of_fold.npz") as arrays:
            train = audit.parts[0]
            held = np.array([path not in trained[name].paths["train"] for path in train.examples.paths])
            np.testing.assert_array_equal(arrays["train"], train.probabilities[held])
        assert (workdir / name / "model.keras").is_file(), number
        assert not (workdir / name / "checkpoints").exists()


def test_a_person_in_two_splits_is_in_the_same_fold_of_both():
    def examples(*people):
        count = len(people)
        return Examples(("A",), np.array(list("abcdef"[:count])), np.ones((count, 1), np.int8), people=np.array(people))

    folds = folds_of_splits({"train": examples("Ann", "", "Bob", "Ann"), "test": examples("Bob", "Ann", "")}, 2, 0)
    train, test = folds["train"], folds["test"]
    assert (train[0], train[2]) == (train[3], test[0]) == (test[1], train[2])
    assert train[0] != train[2]  # the folds have about equal sizes


def test_keypoints_stay_with_their_images(annotated_dir):
    data = open_data(small_config(annotated_dir, model="mgmtn"))
    rows = np.array([0, 5])
    kept = without_rows(data, {"train": rows})
    assert len(kept.train) == len(kept.train_keypoints.found) == len(data.train) - 2
    assert kept.train.paths[0] == data.train.paths[1]
    np.testing.assert_array_equal(kept.train_keypoints.points[0], data.train_keypoints.points[1])
    assert len(kept.validation_keypoints.found) == len(data.validation)


def test_a_second_call_trains_nothing(audited, config):
    audit, workdir, _ = audited

    def listeners(name):
        raise AssertionError(name)

    again = audit_with_folds(config, workdir, "all", 2, listeners)
    for one, other in zip(audit.errors[:5], again.errors[:5], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_workdir_belongs_to_one_audit(audited, config):
    _, workdir, _ = audited
    with pytest.raises(FarkerasError) as raised:
        audit_with_folds(config, workdir, "train", 3)
    assert str(raised.value) == (
        f"{workdir} holds an audit with other settings: `split` (was all, now train), `folds` (was 2, now 3). Use "
        "another `workdir`."
    )
    with pytest.raises(
        FarkerasError, match=r"fold_1 was started with other settings: `learning_rate` \(was 0.002, now 0.1"
    ):
        audit_with_folds(replace(config, learning_rate=0.1), workdir, "all", 2)


def test_a_fold_that_leaves_too_few_images(config, tmp_path):
    with pytest.raises(FarkerasError, match="The training split has 96 images, fewer than `batch_size=100`"):
        audit_with_folds(replace(config, batch_size=100), tmp_path, "train", 2)


def test_a_run_audits_what_it_has_not_seen(audited):
    _, workdir, _ = audited
    audit = audit_with_run(workdir / "fold_1", "test")
    assert audit.origin["run"] == str(workdir / "fold_1")
    assert [(part.split, len(part.examples)) for part in audit.parts] == [("test", 24)]
    with pytest.raises(
        FarkerasError, match="fold_1 has trained on the labels of `split=train`, which it would only conf"
    ):
        audit_with_run(workdir / "fold_1", "train")


def test_the_three_files(audited, tmp_path, faces_dir):
    audit, _, _ = audited
    summary = write_audit(audit, tmp_path, shown=7)
    assert json.loads((tmp_path / "label_audit.json").read_text()) == summary
    assert (summary["num_images"], summary["folds"], summary["procedural"]) == (240, 2, True)
    with open(tmp_path / "label_audit.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == summary["suspicious"] == sum(rate["suspicious"] for rate in summary["attributes"].values())
    assert [int(row["rank"]) for row in rows] == list(range(1, len(rows) + 1))
    assert sorted(rows, key=lambda row: float(row["score"])) == rows
    source = open_source("celeba", str(faces_dir))
    for row in rows[:20]:
        examples = source.split(row["split"])
        number = examples.paths.tolist().index(str(faces_dir / row["image"]))
        assert examples.labels[number, examples.attributes.index(row["attribute"])] == int(row["given"])
        assert int(row["suggested"]) == 1 - int(row["given"])
        expected = float(row["probability"]) if row["given"] == "1" else 1 - float(row["probability"])
        assert float(row["score"]) == pytest.approx(expected, abs=2e-6)
    page = (tmp_path / "label_audit.html").read_text()
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert len(pictures) == 7
    assert base64.b64decode(pictures[0]).startswith(b"\xff\xd8")
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "Procedural faces" in page
    assert rows[0]["image"].replace("/", "/<wbr>") in page


def test_the_weights_of_positive_labels_are_undone():
    """A weight of 9 turns odds of 1 : 9 into 1 : 1."""
    found = without_weights(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([9.0, 1.0]))
    np.testing.assert_allclose(found, [[0.1, 0.5], [0, 1]])


def test_names_are_escaped_and_one_model_is_named():
    rates = {"known": 3, "suspicious": 0, "error_rate": None, "positive_error_rate": None, "negative_error_rate": 0.5}
    origin = {"source": "table", "data_dir": "/a/<faces>", "split": "test", "run": "runs/demo"}
    counts = {"procedural": False, "num_images": 3, "undecodable": 1, "suspicious": 0}
    page = label_page(origin | counts | {"attributes": {"<b>": rates}}, [])
    assert "Labels of &lt;faces&gt; that" in page
    assert "predicted by runs/demo" in page
    assert "/a/" not in page
    assert "<td>–</td><td>–</td><td>50.0</td>" in page
