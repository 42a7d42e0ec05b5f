"""What linear models tell of the attributes without a face: from any source, with unknown labels and damaged images."""

import numpy as np
import pytest

from farkeras.data.packing import pack_data_set
from farkeras.data.shortcuts import (
    balanced_accuracy,
    measure_shortcuts,
    read_pixels,
    score_evaluation,
    score_folds,
    score_split,
)
from farkeras.data.sources.opening import open_source
from farkeras.data.sources.packed import Packed
from farkeras.errors import FarkerasError
from tests.own_table import write_own_table


def test_balanced_accuracy_and_its_error():
    score = balanced_accuracy(np.repeat([1, 0], [100, 300]), np.repeat([1, 0, 0, 1], [90, 10, 150, 150]))
    assert score.value == pytest.approx((0.9 + 0.5) / 2)
    assert score.error == pytest.approx(0.5 * np.sqrt(0.9 * 0.1 / 100 + 0.25 / 300), rel=0.1)
    assert np.isnan(balanced_accuracy(np.zeros(10), np.zeros(10)).value)
    counts = {"true_positives": 90, "false_negatives": 10, "true_negatives": 150, "false_positives": 150}
    assert score_evaluation(("a", "b"), {"b": counts})[1] == score
    assert np.isnan(score_evaluation(("a", "b"), {"b": counts})[0].value)


def test_the_linear_check_finds_a_shortcut_and_nothing_in_noise():
    rng = np.random.default_rng(0)
    labels = (rng.random((400, 2)) < 0.4).astype(int)
    features = np.c_[rng.normal(size=(400, 3)), labels[:, :1] + 0.2 * rng.normal(size=(400, 1))]
    labels[rng.random((400, 2)) < 0.1] = -1  # unknown
    for scores in (score_folds(features, labels), score_split(features, labels, features, labels)):
        assert scores[0].value > 0.95
        assert scores[1].value < 0.65


def test_any_source_is_measured(faces_dir, tmp_path):
    table = write_own_table(tmp_path / "own.csv", faces_dir, str(faces_dir / "img_align_celeba"))
    settings = {
        "group_column": "person",
        "ignore_columns": ["notes", "Hat", "Lipstick"],
        "split_ratios": [0.5, 0.1, 0.4],
    }
    source = open_source("table", str(table), settings=settings)
    calls = []
    found = measure_shortcuts(source, lambda *call: calls.append(call))
    assert calls == [(done, 240) for done in range(1, 241)]
    assert {name: len(scores) for name, scores in found.items()} == {"32x32": 5, "border": 5, "file size": 5}
    smile = source.attributes.index("Smile")
    assert np.isfinite([scores[smile].value for scores in found.values()]).all()
    pack_data_set(source, table, tmp_path / "packed")
    np.testing.assert_equal(measure_shortcuts(Packed(tmp_path / "packed")), found)


def test_images_that_cannot_be_used_are_left_out(faces_dir, tmp_path):
    table, images = tmp_path / "own.csv", faces_dir / "img_align_celeba"
    (tmp_path / "damaged.jpg").write_text("text")
    rows = [f"{images / f'{number:06}.jpg'},1" for number in (1, 2)]
    table.write_text("\n".join(["image,Hat,split", f"{rows[0]},train", f"{rows[1]},train", "damaged.jpg,0,test", ""]))
    source = open_source("table", str(table))
    (pixels,) = read_pixels([source.split("train")])
    assert (pixels.small.shape, pixels.size.shape, pixels.labels.tolist()) == ((2, 3072), (2, 1), [[1], [1]])
    with pytest.raises(FarkerasError, match="no usable image: expected at least one decodable image of 16 x 16 pixels"):
        read_pixels([source.split("test")])
