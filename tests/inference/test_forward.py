"""Every example is predicted once, whatever the batches, replicas and undecodable files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from farkeras.data.examples import Examples
from farkeras.errors import FarkerasError
from farkeras.inference import forward as inference
from farkeras.inference.forward import compile_forward, mask_overlaps, predict_examples
from farkeras.models.base import LogitsModel

SIDE = 4


@pytest.fixture
def two_replicas():
    devices = tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        pytest.skip("needs two logical CPUs, which tests/conftest.py configures")
    return tf.distribute.MirroredStrategy([device.name for device in devices[:2]])


def make_examples(count: int) -> Examples:
    labels = np.random.default_rng(1).integers(-1, 2, (count, 3)).astype(np.int8)
    return Examples(("a", "b", "c"), np.array([f"{i}.jpg" for i in range(count)]), labels)


def make_model() -> LogitsModel:
    inputs = keras.Input((SIDE, SIDE, 3))
    features = keras.layers.Flatten()(inputs)
    keras.utils.set_random_seed(0)
    return LogitsModel(inputs, {"logits": keras.layers.Dense(3)(features)})


def images_of(examples: Examples) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(len(examples), SIDE, SIDE, 3)).astype(np.float32)


@pytest.fixture
def broken(monkeypatch) -> set[int]:
    """Replaces the pipeline by one with random images; indices put into the set are undecodable."""
    undecodable = set()

    def evaluation_dataset(examples, preprocessing, batch_size, keypoints=None):
        index = np.array([i for i in range(len(examples)) if i not in undecodable], np.int64)[::-1]
        index = np.concatenate([index, np.full(-len(index) % batch_size, -1)])
        tensors = {
            "image": images_of(examples)[index],
            "labels": examples.labels[index],
            "example": index,
        }
        return tf.data.Dataset.from_tensor_slices(tensors).batch(batch_size, drop_remainder=True)

    monkeypatch.setattr(inference, "evaluation_dataset", evaluation_dataset)
    return undecodable


def expected_probabilities(model, examples):
    logits = model(images_of(examples))["logits"].numpy()
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("batch_size", [1, 4, 7, 16])
def test_results_follow_the_examples_whatever_the_batch_size(broken, batch_size):
    examples, model = make_examples(7), make_model()
    labels, probabilities, undecodable, _ = predict_examples(model, examples, None, batch_size)
    np.testing.assert_array_equal(labels, examples.labels)
    np.testing.assert_allclose(probabilities, expected_probabilities(model, examples), atol=1e-6)
    assert probabilities.dtype == np.float32
    assert undecodable == []


@pytest.mark.parametrize("batch_size", [2, 3, 8])
def test_two_replicas_give_what_one_gives(broken, two_replicas, batch_size):
    examples = make_examples(7)
    with two_replicas.scope():
        model = make_model()
    labels, probabilities, *_ = predict_examples(model, examples, None, batch_size, two_replicas)
    np.testing.assert_array_equal(labels, examples.labels)
    np.testing.assert_allclose(probabilities, expected_probabilities(model, examples), atol=1e-6)


def test_undecodable_images_are_left_out_and_named(broken):
    broken.add(30)
    examples, model = make_examples(200), make_model()
    labels, probabilities, undecodable, _ = predict_examples(model, examples, None, 64)
    kept = np.delete(np.arange(200), 30)
    assert undecodable == ["30.jpg"]
    np.testing.assert_array_equal(labels, examples.labels[kept])
    np.testing.assert_allclose(probabilities, expected_probabilities(model, examples)[kept], atol=1e-6)


def test_many_undecodable_images_are_an_error(broken):
    broken.update(range(5))
    with pytest.raises(FarkerasError, match="5 of 200 images cannot be decoded"):
        predict_examples(make_model(), make_examples(200), None, 64)


def test_an_empty_split_is_an_error(broken):
    with pytest.raises(FarkerasError, match="no images"):
        predict_examples(make_model(), make_examples(0), None, 4)


def test_a_caller_may_compile_once(broken):
    examples, model = make_examples(7), make_model()
    forward = compile_forward(model)
    for _ in range(2):
        predict_examples(model, examples, None, 4, forward=forward)
    assert forward.experimental_get_tracing_count() == 1


def test_mask_overlaps_by_hand():
    seen = np.array([[0.99, 0.01], [0.99, 0.99]], np.float32)[None, :, :, None]  # a map of 2 x 2, resized to 4 x 4
    wanted = np.zeros((1, 4, 4, 1), np.float32)
    wanted[:, :, :2] = 1.0  # the left half
    both, either = mask_overlaps(seen, wanted, np.array([True])).numpy()[0, :, 0]
    predicted = 16 - 2 * 2 + 0  # all but the upper right corner, whose border the resize leaves where it was
    assert (both, either) == (8, predicted)
    np.testing.assert_array_equal(mask_overlaps(seen, wanted, np.array([False])), np.zeros((1, 2, 1)))
