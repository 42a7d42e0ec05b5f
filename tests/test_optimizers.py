"""Each variable takes its share of the learning rate, in `fit` and in a loop of one's own.

tests/test_jax.py runs this file on JAX, and `make test-torch` on PyTorch.
"""

import keras
import numpy as np
import pytest
from keras import ops

from farkeras.errors import FarkerasError
from farkeras.optimizers import SGD, AdamW

pytestmark = pytest.mark.core


def variables(number):
    return [keras.Variable([1.0], name=f"kernel_{i}") for i in range(number)]


def values(trained):
    return [float(ops.convert_to_numpy(variable)[0]) for variable in trained]


def step(optimizer, trained, gradient):
    optimizer.apply([ops.convert_to_tensor(np.array(gradient, "float32"))] * len(trained), trained)


@pytest.mark.parametrize(
    ("optimizer", "first", "second"),
    [
        # Rate 0.5, gradient 2, from 1.0, and a share of a tenth for the second variable. Weight decay takes 0.5 x 0.1
        # of the value, Adam's step is the rate, and Nesterov momentum 0.5 makes steps of 1.5 and 1.75 times 0.5 x 2.
        (
            AdamW(0.5, [1.0, 0.1], weight_decay=0.1),
            [0.95 - 0.5, 0.995 - 0.05],
            [0.45 * 0.95 - 0.5, 0.945 * 0.995 - 0.05],
        ),
        (
            SGD(0.5, [1.0, 0.1], weight_decay=0.1, momentum=0.5, nesterov=True),
            [0.95 - 1.5, 0.995 - 0.15],
            [-0.55 * 0.95 - 1.75, 0.845 * 0.995 - 0.175],
        ),
    ],
    ids=["adamw", "sgd"],
)
def test_two_steps_by_hand(optimizer, first, second):
    trained = variables(2)
    for expected in (first, second):
        step(optimizer, trained, [2.0])
        np.testing.assert_allclose(values(trained), expected, atol=2e-5)


@pytest.mark.parametrize(
    ("own", "plain", "options"),
    [(AdamW, keras.optimizers.AdamW, {}), (SGD, keras.optimizers.SGD, {"momentum": 0.9, "nesterov": True})],
)
def test_a_share_of_one_changes_no_bit(own, plain, options):
    if keras.backend.backend() == "torch":
        pytest.skip("Keras's own optimizers update all variables together on PyTorch and round differently")
    gradients = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")
    options = {"learning_rate": 0.3, "weight_decay": 0.1, "use_ema": True, **options}
    ends = []
    for optimizer in (plain(**options), own(multipliers=[1.0], **options)):
        trained = [keras.Variable(np.linspace(-1, 1, 7), name="kernel")]
        for gradient in gradients:
            step(optimizer, trained, gradient)
        ends.append([ops.convert_to_numpy(v) for v in (*trained, *optimizer.variables)])
    for expected, found in zip(*ends, strict=True):
        np.testing.assert_array_equal(expected, found)


def test_variables_after_the_last_share_and_those_without_decay():
    trained = variables(3)
    optimizer = SGD(1.0, [0.5, 0.5], weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_list=[trained[1]])
    step(optimizer, trained, [0.0])
    assert values(trained) == pytest.approx([1 - 0.5 * 0.1, 1.0, 1 - 0.1])


def test_wrong_shares_are_refused():
    with pytest.raises(FarkerasError, match=r"`multipliers` must be numbers of at least 0\. Received: -0\.1\."):
        SGD(0.1, [1.0, -0.1])
    with pytest.raises(FarkerasError, match=r"at most one number for each of the 1 variables\. Received: 2 numbers"):
        AdamW(0.1, [1.0, 0.1]).build(variables(1))


def test_fit_and_a_saved_model_keep_the_shares(tmp_path):
    dense = [keras.layers.Dense(1, use_bias=False, kernel_initializer="ones") for _ in range(2)]
    model = keras.Sequential([keras.Input((1,)), *dense])
    model.compile(SGD(0.1, multipliers=[0.1, 1.0]), "mse")
    x, y = np.ones((1, 1)), np.zeros((1, 1))
    a, b = 1.0, 1.0
    for _ in range(2):
        model.fit(x, y, verbose=0)
        a, b = a - 0.01 * 2 * a * b * b, b - 0.1 * 2 * a * a * b  # the gradients of (a b)^2
        assert [float(w[0, 0]) for w in model.get_weights()] == pytest.approx([a, b])
        model.save(tmp_path / "model.keras")
        model = keras.saving.load_model(tmp_path / "model.keras")
