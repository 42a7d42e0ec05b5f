"""Exports are compared with the Keras model on files of the test split, and limits are kept."""

import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image

from farkeras.attributes import Grouping
from farkeras.data.examples import Examples
from farkeras.data.sources import opening as sources
from farkeras.errors import FarkerasError
from farkeras.exporters.parity import (
    FLOAT16,
    FLOAT32,
    INT8,
    Limits,
    ParityError,
    compare_with_reference,
    image_runtime,
    write_parity,
)
from farkeras.exporters.reference import BATCH_SIZE, Faces, ParityImages, Reference, keras_reference
from farkeras.models.model_file import load_model
from tests.bad_images import encode, smooth_image


def reference(probabilities, labels, thresholds=(0.5, 0.5)):
    """Of files that nobody looks at."""
    files = [encode(smooth_image(4, 3), "PNG")] * len(labels)
    probabilities, labels = np.array(probabilities, np.float32), np.array(labels, np.int8)
    grouping, thresholds = Grouping({"g": ("a", "b")}), np.array(thresholds)
    return Reference(files, labels, probabilities, grouping, {"images": len(files)}, thresholds)


def answers(probabilities):
    """A runtime that says this, batch after batch."""
    rows = iter(np.array(probabilities, np.float32))
    return lambda faces: np.stack([next(rows) for _ in faces.encoded])


EXPECTED = [[0.9, 0.2], [0.6, 0.1], [0.4, 0.8], [0.1, 0.3]]
LABELS = [[1, 0], [1, 0], [0, 1], [0, -1]]


def test_figures():
    near = np.add(EXPECTED, [[0.01, 0], [-0.2, 0], [0, 0], [0, 0.01]])  # 0.6 -> 0.4: another answer, a wrong one
    report = compare_with_reference(reference(EXPECTED, LABELS), {"near": answers(near)}, Limits())
    row = report["runtimes"]["near"]
    assert row == pytest.approx(
        {
            "max_difference": 0.2,
            "mean_difference": 0.22 / 8,
            "equal_decisions": 7 / 8,
            "mean_accuracy": (3 / 4 + 3 / 3) / 2,
            "mean_balanced_accuracy": ((1 / 2 + 2 / 2) / 2 + 1) / 2,
        }
    )
    assert report["keras"] == {"mean_accuracy": 1.0, "mean_balanced_accuracy": 1.0}


def test_equal_answers_are_those_at_the_thresholds():
    near = np.add(EXPECTED, [[0, 0], [-0.2, 0], [0, 0], [0, -0.15]])  # 0.6 -> 0.4, 0.3 -> 0.15
    for thresholds, equal in (((0.5, 0.5), 7 / 8), ((0.3, 0.2), 7 / 8), ((0.3, 0.5), 1), ((0.5, 0.2), 6 / 8)):
        report = compare_with_reference(reference(EXPECTED, LABELS, thresholds), {"near": answers(near)}, Limits())
        assert report["runtimes"]["near"]["equal_decisions"] == equal
    assert (report["limits"], report["exceeded"]) == ({}, [])


@pytest.mark.parametrize(
    ("limit", "value", "phrase"),
    [
        ("max_difference", 0.19, "max_difference 0.2, limit 0.19"),
        ("mean_difference", 0.02, "mean_difference 0.025, limit 0.02"),
        ("equal_decisions", 0.9, "equal_decisions 0.875, limit 0.9"),
        ("mean_accuracy_loss", 0.12, "mean_accuracy_loss 0.125, limit 0.12"),
        ("balanced_accuracy_loss", 0.12, "balanced_accuracy_loss 0.125, limit 0.12"),
    ],
)
def test_each_limit(limit, value, phrase):
    near = np.add(EXPECTED, [[0, 0], [-0.2, 0], [0, 0], [0, 0]])
    wider = value * (0.9 if limit == "equal_decisions" else 1.3)

    def exceeded(value):
        return compare_with_reference(reference(EXPECTED, LABELS), {"it": answers(near)}, Limits(**{limit: value}))[
            "exceeded"
        ]

    assert exceeded(value) == [f"it: {phrase}"]
    assert exceeded(wider) == []


def test_the_published_limits():
    """Those of the README."""
    given = [
        {name: value for name, value in dataclasses.asdict(limits).items() if value}
        for limits in (FLOAT32, FLOAT16, INT8)
    ]
    assert given == [
        {"max_difference": 5e-5},
        {"max_difference": 3e-2, "mean_difference": 1e-3, "equal_decisions": 0.995},
        {"equal_decisions": 0.98, "mean_accuracy_loss": 0.005, "balanced_accuracy_loss": 0.01},
    ]


def test_a_better_answer_is_no_loss():
    labels = [[0, 1], [0, 1], [1, 0], [1, 0]]  # the Keras model is always wrong
    report = compare_with_reference(
        reference(EXPECTED, labels), {"it": answers(1 - np.array(EXPECTED))}, Limits(mean_accuracy_loss=0)
    )
    assert report["exceeded"] == []


def test_what_is_not_a_number_is_as_wrong_as_can_be():
    broken = np.array(EXPECTED)
    broken[0, 0] = np.nan
    report = compare_with_reference(reference(EXPECTED, LABELS), {"it": answers(broken)}, FLOAT32)
    assert report["runtimes"]["it"]["max_difference"] == 1
    assert report["runtimes"]["it"]["equal_decisions"] == 7 / 8
    assert report["exceeded"] == ["it: max_difference 1, limit 5e-05"]


def test_without_a_known_label():
    report = compare_with_reference(reference(EXPECTED, np.full((4, 2), -1)), {"it": answers(EXPECTED)}, INT8)
    assert report["keras"] == {"mean_accuracy": None, "mean_balanced_accuracy": None}
    assert report["exceeded"] == []


def test_a_runtime_with_other_outputs():
    with pytest.raises(FarkerasError, match=r"it must return probabilities of shape \[4, 2\]\. Received: \[4, 1\]"):
        compare_with_reference(reference(EXPECTED, LABELS), {"it": lambda faces: np.zeros((4, 1))}, FLOAT32)


def test_the_file(tmp_path):
    report = compare_with_reference(reference(EXPECTED, LABELS), {"it": answers(EXPECTED)}, FLOAT32)
    write_parity(tmp_path, report)
    assert json.loads((tmp_path / "parity.json").read_text(encoding="utf-8")) == report
    with pytest.raises(ParityError, match="by more than its limits: it: max_difference 1, limit 5e-05; b"):
        write_parity(tmp_path, report | {"exceeded": ["it: max_difference 1, limit 5e-05", "b"]})
    assert len(json.loads((tmp_path / "parity.json").read_text(encoding="utf-8"))["exceeded"]) == 2


def test_images_of_different_sizes_in_one_batch():
    sizes = [(4, 3), (5, 3), (4, 3)]
    crops = [np.full((*size, 3), i, np.uint8) for i, size in enumerate(sizes)]
    seen = []

    def run(images):
        seen.append(images.shape)
        return images.mean(axis=(1, 2))

    assert image_runtime(run)(Faces([], crops))[:, 0].tolist() == [0, 1, 2]
    assert seen == [(2, 4, 3, 3), (1, 5, 3, 3)]


def test_reference_on_the_test_split(any_workdir):
    model, metadata = load_model(any_workdir)
    found = keras_reference(model, metadata, ParityImages(BATCH_SIZE + 2))
    assert found.probabilities.shape == found.labels.shape == (BATCH_SIZE + 2, 7)
    assert [len(faces.encoded) for faces in found.batches()] == [BATCH_SIZE, 2]
    first = next(found.batches())
    np.testing.assert_array_equal(first.crops[0], np.asarray(Image.open(io.BytesIO(first.encoded[0]))))
    assert found.data["data_dir"] == "faces.csv"
    assert (found.data["images"], found.data["undecodable"], found.data["procedural"]) == (BATCH_SIZE + 2, 0, False)


class Source:
    """Images that show more than CelebA's frame, one of them half, as LFWA does."""

    attributes = ("Hat", "Fringe", "Glasses", "Smile", "Open_Mouth", "Lipstick", "Moustache")

    def __init__(self, folder, count):
        self.paths = np.array([str(folder / f"{i}.jpg") for i in range(count)])
        for i, path in enumerate(self.paths):
            smooth_image(300, 200 + i % 2).save(path, quality=95)

    def split(self, name):
        assert name == "test"
        labels = np.ones((len(self.paths), 7), np.int8)
        return Examples(self.attributes, self.paths, labels, frame=(0.1, 0.2, 0.9, 0.7))


def test_of_larger_images_the_frame_is_a_file(any_workdir, tmp_path, monkeypatch):
    source = Source(tmp_path, 120)
    (tmp_path / "7.jpg").write_bytes(b"")
    monkeypatch.setattr(sources, "open_source", lambda *_: source)
    model, metadata = load_model(any_workdir)
    found = keras_reference(model, metadata, ParityImages(1000))
    assert (found.data["images"], found.data["undecodable"]) == (119, 1)
    first = next(found.batches())
    whole = np.asarray(Image.open(source.paths[0]))
    np.testing.assert_array_equal(first.crops[0], whole[30:270, 40:140])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(first.encoded[0]))), first.crops[0])


def test_no_data_to_compare_on(any_workdir):
    model, metadata = load_model(any_workdir)
    with pytest.raises(FarkerasError, match=r"nowhere.* To export without a comparison, set `parity_images=0`"):
        keras_reference(model, metadata, ParityImages(data_dir="nowhere.csv"))
