"""Batches: every example once an epoch, in an order that a counter decides; undecodable files left out by name."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from farkeras.data.augmentation import NUM_DRAWS, Augmentation, Geometry, finish_images
from farkeras.data.batching import repeat_edges
from farkeras.data.examples import FULL_FRAME, UNKNOWN, Examples
from farkeras.data.keypoints import Keypoints, decode_points, encode_points
from farkeras.data.pipeline import (
    ShuffledOrder,
    check_undecodable,
    evaluation_dataset,
    find_undecodable,
    left_out,
    training_dataset,
)
from farkeras.data.preprocessing import Preprocessing, pixels_of
from farkeras.errors import FarkerasError
from tests import bad_images
from tests.bad_images import encode

pytestmark = pytest.mark.core

COUNT, BAD = 12, 5
PREPROCESSING = Preprocessing((8, 8))
SIDES = tf.constant([8, 8])


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> Examples:
    """Images of one colour each, 20 times their number; labels count in base 3."""
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{i:02}.png" for i in range(COUNT)]
    for i, path in enumerate(paths):
        Image.new("RGB", (8, 8), (20 * i,) * 3).save(path)
    labels = np.array([[i % 3 - 1, i // 3 % 3 - 1] for i in range(COUNT)], np.int8)
    return Examples(("a", "b"), np.array([str(path) for path in paths]), labels)


@pytest.fixture
def damaged(examples, tmp_path) -> Examples:
    """The same with one file that is no image."""
    paths = examples.paths.astype(object).copy()
    paths[BAD] = str(tmp_path / "damaged.png")
    (tmp_path / "damaged.png").write_text("text")
    return Examples(examples.attributes, paths.astype(str), examples.labels)


@pytest.fixture(scope="module")
def keypoints() -> Keypoints:
    """A scatter of points for each image; none for image 3."""
    points = np.random.default_rng(0).integers(20_000, 45_000, (COUNT, 478, 2)).astype(np.uint16)
    return Keypoints(points, np.arange(COUNT) != 3)


def train(examples, start=0, stop=2 * COUNT, batch_size=4, seed=1, augmentation=None, keypoints=None):
    """What a training dataset shows, batches put together."""
    augmentation = augmentation or Augmentation(flip=False)
    dataset = training_dataset(examples, PREPROCESSING, augmentation, batch_size, seed, start, stop, keypoints)
    batches = list(dataset.as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def shown(batches):
    return (batches["image"][:, 0, 0, 0] / 20).round().astype(int)


def test_every_epoch_shows_every_example_once(examples):
    first, second = shown(train(examples)).reshape(2, COUNT)
    assert sorted(first) == sorted(second) == list(range(COUNT))
    assert list(first) != list(second)
    assert list(first) != list(range(COUNT))


def test_images_and_labels_belong_together(examples):
    batches = train(examples)
    np.testing.assert_array_equal(batches["labels"], examples.labels[shown(batches)])
    np.testing.assert_array_equal(batches["counter"], np.arange(2 * COUNT))


def test_a_run_continues_where_it_stopped(examples):
    whole, rest = train(examples, augmentation=STRONG), train(examples, start=16, augmentation=STRONG)
    for name in whole:
        np.testing.assert_array_equal(rest[name], whole[name][16:])


STRONG = Augmentation(True, 0.2, 0.2, 30, 0.3, 0.3, 0.3)


def draws(seed, number):
    """The random numbers of the counters 256 * number and on."""
    return tf.random.stateless_uniform([256, NUM_DRAWS], [seed, number], -1.0, 1.0)


def test_points_move_with_their_image(examples, keypoints):
    batches = train(examples, stop=COUNT, augmentation=STRONG, keypoints=keypoints)
    changes = STRONG.changes(PREPROCESSING.crop, draws(1, 0))
    order = ShuffledOrder(COUNT, 1).index(tf.constant(batches["counter"])).numpy()
    for counter, received, index in zip(batches["counter"], batches["points"], order, strict=True):
        change = tf.nest.map_structure(lambda values, counter=counter: values[counter], changes)
        expected = change.geometry(SIDES).points(decode_points(keypoints.points[index]), PREPROCESSING.image_size)
        np.testing.assert_allclose(received, expected, atol=1e-5)
    assert batches["points"].shape == (COUNT, 478, 2)
    np.testing.assert_array_equal(batches["found"], order != 3)


def test_points_change_nothing_else(examples, keypoints):
    plain, shown = train(examples, augmentation=STRONG), train(examples, augmentation=STRONG, keypoints=keypoints)
    assert set(shown) - set(plain) == {"points", "found"}
    for name in plain:
        np.testing.assert_array_equal(shown[name], plain[name])


@pytest.mark.parametrize("start", [200, 256, 300])
def test_what_is_drawn_depends_on_the_counter_alone(examples, keypoints, start):
    """Numbers are drawn for 256 counters at a time; the counter at which a run begins does not matter."""
    whole = train(examples, stop=520, augmentation=STRONG, keypoints=keypoints)
    rest = train(examples, start=start, stop=520, augmentation=STRONG, keypoints=keypoints)
    for name in whole:
        np.testing.assert_array_equal(rest[name], whole[name][start:])
    assert len(np.unique(whole["points"][whole["found"]], axis=0)) == whole["found"].sum()  # no change comes twice


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Examples:
    """Images of noise in several sizes, of which some are halved."""
    folder, rng, paths = tmp_path_factory.mktemp("photos"), np.random.default_rng(0), []
    for i, sides in enumerate([(10, 12), (14, 9), (40, 50)] * 2):
        paths.append(str(folder / f"{i}.png"))
        Image.fromarray(rng.integers(0, 256, (*sides, 3), np.uint8)).save(paths[-1])
    return Examples(("a",), np.array(paths), np.zeros((6, 1), np.int8))


@pytest.mark.parametrize("flip", [True, False])
def test_the_training_device_finishes_the_same_images(photos, flip):
    augmentation = Augmentation(flip, 0.2, 0.2, 30, 0.3, 0.3, 0.3)
    settings = (photos, PREPROCESSING, augmentation, 4, 1, 0, 12)
    unfinished = list(training_dataset(*settings, finished=False))
    for batch, expected in zip(unfinished, training_dataset(*settings), strict=True):
        assert batch["image"].dtype == tf.uint8
        finished = finish_images(batch, PREPROCESSING.image_size)
        assert set(finished) == set(expected)
        np.testing.assert_allclose(finished["image"], expected["image"], atol=0.01)
    assert {batch["image"].shape[1] for batch in unfinished} != {8}


def test_without_rotation_the_pipeline_moves_the_images(photos, keypoints):
    points = Keypoints(keypoints.points[:6], keypoints.found[:6])
    settings = (photos, PREPROCESSING, Augmentation(True, 0.2, 0.2, contrast=0.3), 4, 1, 0, 12, points)
    for batch, expected in zip(training_dataset(*settings, finished=False), training_dataset(*settings), strict=True):
        assert set(batch) - set(expected) == {"matrix", "mean"}
        finished = finish_images(batch, PREPROCESSING.image_size)
        np.testing.assert_allclose(finished["image"], expected["image"], atol=0.01)
        np.testing.assert_array_equal(batch["points"], expected["points"])


def test_edges_repeat_to_the_right_and_below():
    filled = tf.constant([[[1, 2, 0], [3, 4, 0], [0, 0, 0]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]]])[..., None]
    expected = [[[1, 2, 2], [3, 4, 4], [3, 4, 4]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]]]
    np.testing.assert_array_equal(repeat_edges(filled, tf.constant([[2, 2], [3, 3]]))[..., 0], expected)


def test_seed_decides_the_order(examples):
    assert list(shown(train(examples))) == list(shown(train(examples)))
    assert list(shown(train(examples))) != list(shown(train(examples, seed=2)))


def test_partial_batch_is_dropped(examples):
    assert len(train(examples, stop=11)["counter"]) == 8


def test_undecodable_training_image_is_left_out_and_found_by_its_counter(damaged):
    batches = train(damaged, stop=COUNT, batch_size=1)
    missing = left_out(batches["counter"], 0, COUNT)
    assert ShuffledOrder(COUNT, 1).index(tf.constant(missing)).numpy().tolist() == [BAD]
    assert sorted(shown(batches)) == [i for i in range(COUNT) if i != BAD]


def test_training_takes_every_jpeg_and_png_and_leaves_out_the_rest(tmp_path):
    plain = Image.new("RGB", (40, 30), (100, 100, 100))
    files = {
        "good.jpg": encode(plain),
        "grey.jpg": encode(plain.convert("L")),
        "cmyk.jpg": encode(plain.convert("CMYK")),
        "a_png.jpg": encode(plain, "PNG"),
        "one_pixel.jpg": encode(plain.resize((1, 1))),
        "turned.jpg": bad_images.turned(image=plain),
        "empty.jpg": b"",
        "half.jpg": bad_images.half(encode(bad_images.smooth_image())),
        "html.jpg": bad_images.HTML,
        "bomb.jpg": bad_images.jpeg_bomb(),
        "bomb.png": bad_images.png_bomb(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    paths = np.array([f"{tmp_path}/{name}" for name in (*files, "missing.jpg")])
    examples = Examples(("a",), paths, np.arange(len(paths), dtype=np.int8)[:, None])
    batches = train(examples, stop=len(paths), batch_size=1)
    assert sorted(batches["labels"].ravel()) == list(range(6))
    np.testing.assert_allclose(batches["image"], 100, atol=1)
    assert find_undecodable(examples, PREPROCESSING) == paths[6:].tolist()


def test_order_is_a_permutation_in_each_epoch():
    order = ShuffledOrder(100, 0)
    index = order.index(tf.range(300, dtype=tf.int64)).numpy().tolist()
    for epoch in range(3):
        assert sorted(index[100 * epoch : 100 * (epoch + 1)]) == list(range(100))


def test_evaluation_fills_up_the_last_batch(examples):
    *_, last = evaluation_dataset(examples, PREPROCESSING, 5).as_numpy_iterator()
    assert list(last["example"]) == [10, 11, -1, -1, -1]
    np.testing.assert_array_equal(last["labels"][:2], examples.labels[10:])
    assert (last["labels"][2:] == UNKNOWN).all()
    assert last["image"].shape == (5, 8, 8, 3)
    assert last["image"].dtype == np.float32
    assert (last["image"][2:] == 0).all()


def test_evaluation_points_pass_through_the_crop(examples, keypoints):
    preprocessing = Preprocessing((8, 8), (0.1, 0.2, 0.8, 0.9))
    *_, last = evaluation_dataset(examples, preprocessing, 5, keypoints).as_numpy_iterator()
    geometry = Geometry(SIDES, pixels_of(preprocessing.crop, SIDES))
    expected = geometry.points(decode_points(keypoints.points[10:]), preprocessing.image_size)
    np.testing.assert_allclose(last["points"][:2], expected, atol=1e-5)
    assert list(last["found"]) == [True, True, False, False, False]
    assert (last["points"][2:] == 0).all()


def test_evaluation_points_belong_to_their_images(damaged, keypoints):
    batches = list(evaluation_dataset(damaged, PREPROCESSING, 4, keypoints).as_numpy_iterator())
    seen, found = (np.concatenate([batch[key] for batch in batches]) for key in ("example", "found"))
    assert list(seen[found]) == [i for i in range(COUNT) if i not in (3, BAD)]


@pytest.mark.parametrize(
    "dataset", [train, lambda *args, keypoints: evaluation_dataset(*args, PREPROCESSING, 4, keypoints)]
)
def test_points_of_other_examples(dataset, examples, keypoints):
    fewer = Examples(examples.attributes, examples.paths[1:], examples.labels[1:])
    with pytest.raises(FarkerasError, match=r"each of the 11 examples\. Received: 12 rows\. Load them"):
        dataset(fewer, keypoints=keypoints)


def test_evaluation_is_in_the_order_of_the_examples(examples):
    batches = list(evaluation_dataset(examples, PREPROCESSING, 4).as_numpy_iterator())
    assert list(np.concatenate([batch["example"] for batch in batches])) == list(range(COUNT))
    assert list(np.concatenate([shown(batch) for batch in batches])) == list(range(COUNT))


def test_evaluation_leaves_out_what_cannot_be_decoded(damaged):
    seen = np.concatenate(
        [batch["example"] for batch in evaluation_dataset(damaged, PREPROCESSING, 4).as_numpy_iterator()]
    )
    assert list(left_out(seen, 0, COUNT)) == [BAD]
    assert sum(seen == -1) == 1
    assert find_undecodable(damaged, PREPROCESSING) == [damaged.paths[BAD]]


def test_all_images_decodable(examples):
    assert find_undecodable(examples, PREPROCESSING) == []


def test_left_out():
    assert list(left_out(np.array([9, 4, 6, 3]), 3, 8)) == [5, 7]


def test_one_undecodable_image_in_a_hundred_is_borne():
    check_undecodable(["a.jpg"], 100)


def test_more_are_an_error():
    with pytest.raises(
        FarkerasError,
        match=r"2 of 100 images cannot be decoded, more than the allowed 1%; the first is a\.jpg\. Replace",
    ):
        check_undecodable({"b.jpg", "a.jpg"}, 100)


def test_the_same_part_of_a_face_in_another_frame(tmp_path):
    """A picture as it is, and in a larger one, of which the examples' frame is this picture."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    points = np.random.default_rng(1).uniform(0.2, 0.8, (1, 478, 2))
    larger = np.pad(pixels, ((0, 16), (8, 8), (0, 0)), mode="edge")
    results = []
    for picture, frame, place in (
        (pixels, FULL_FRAME, points),
        (larger, (0.0, 0.25, 0.5, 0.75), points * 0.5 + (0.25, 0.0)),
    ):
        path = tmp_path / f"{len(picture)}.png"
        Image.fromarray(picture).save(path)
        one = Examples(("a",), np.array([str(path)]), np.zeros((1, 1), np.int8), frame=frame)
        keypoints = Keypoints(encode_points(place), np.array([True]))
        crop = Preprocessing((8, 8), (0.25, 0.125, 0.875, 0.75))
        datasets = (
            evaluation_dataset(one, crop, 1, keypoints),
            training_dataset(one, crop, Augmentation(flip=False), 1, 3, 0, 1, keypoints),
        )
        batches = [next(dataset.as_numpy_iterator()) for dataset in datasets]
        results.append([batch[name] for batch in batches for name in ("image", "points")])
    for plain, framed in zip(*results, strict=True):
        np.testing.assert_allclose(plain, framed, atol=0.02)
