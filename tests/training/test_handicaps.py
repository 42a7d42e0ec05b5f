"""Wrong labels and scaled losses, which make training harder on purpose."""

import numpy as np
import pytest

from farkeras.attributes import Grouping
from farkeras.config import Config
from farkeras.data.examples import UNKNOWN, Examples
from farkeras.errors import FarkerasError
from farkeras.training.building import Run, open_data
from farkeras.training.handicaps import loss_factors, with_wrong_labels
from tests.training.small_run import small_config

GROUPING = Grouping({"Hair": ("Bald", "Bangs"), "Eyes": ("Eyeglasses",)}, ("Bald", "Eyeglasses", "Bangs"))


@pytest.fixture
def train():
    labels = np.tile(np.array([[0, 1, 1], [1, 0, UNKNOWN]], np.int8), (1000, 1))
    return Examples(GROUPING.attributes, np.array([f"{n}.jpg" for n in range(2000)]), labels)


def changed(train, *items):
    noisy = with_wrong_labels(train, Config(label_noise=items), GROUPING)
    return noisy.labels != train.labels, noisy.labels


def test_labels_of_one_group_are_flipped(train):
    wrong, labels = changed(train, "Hair=0.3")
    assert not wrong[:, 1].any()
    assert wrong[:, 0].mean() == pytest.approx(0.3, abs=0.03)
    assert set(np.unique(labels[:, 0])) == {0, 1}
    assert (labels[1::2, 2] == UNKNOWN).all()  # an unknown label stays unknown
    assert wrong[::2, 2].mean() == pytest.approx(0.3, abs=0.05)


def test_more_noise_holds_what_less_noise_flips(train):
    less, _ = changed(train, "all=0.1")
    more, _ = changed(train, "all=0.1", "Hair=0.2")
    assert (more >= less).all()
    assert (more[:, 1] == less[:, 1]).all()
    assert more.sum() > less.sum()


def test_without_noise_nothing_is_copied(train):
    assert with_wrong_labels(train, Config(), GROUPING) is train


def test_factors_by_hand():
    assert loss_factors(Config(), GROUPING) is None
    assert loss_factors(Config(loss_factors=["Eyes=10"]), GROUPING).tolist() == [1, 10]
    assert loss_factors(Config(loss_factors=["all=2", "Hair=0.5"]), GROUPING).tolist() == [0.5, 2]


@pytest.mark.parametrize("item", ["Hair", "Hair=", "Hair=x", "Hair=-1", "Hair=nan", "Hair=inf", "Nose=1", "=1"])
def test_what_is_no_number_of_a_group(item):
    with pytest.raises(FarkerasError, match=r"`loss_factors` must be a list of GROUP=NUMBER.* among Hair, Eyes, all\."):
        loss_factors(Config(loss_factors=[item]), GROUPING)


def test_labels_without_information_are_the_limit(train):
    with pytest.raises(FarkerasError, match=r"`label_noise` must have probabilities of at most 0\.5 .*Received: 0\.6"):
        changed(train, "Eyes=0.6")


def test_the_training_step_scales_the_losses(faces_dir, tmp_path):
    config = small_config(faces_dir, learning_rate=0.0, weighting="uniform", loss_factors=["Hair=10"])
    run = Run(config, tmp_path, open_data(config))
    step, batch = run.phases[-1].step, next(iter(run.training_dataset(0)))
    scaled = run.strategy.run(step.replica, (batch,))
    step.loss_factors = None  # the learning rate is 0, so the model is the same
    plain = run.strategy.run(step.replica, (batch,))
    assert scaled["group_loss"].numpy() == pytest.approx(plain["group_loss"].numpy() * [10, 1, 1], rel=1e-4)
    hair = float(plain["group_loss"][0]) * 10 / 40  # ten of forty attributes
    assert float(scaled["loss"]) == pytest.approx(float(plain["loss"]) + 9 * hair, rel=1e-4)


def test_validation_has_its_true_labels(faces_dir):
    noisy, true = (open_data(small_config(faces_dir, label_noise=items)) for items in (["all=0.2"], []))
    assert (noisy.train.labels != true.train.labels).mean() == pytest.approx(0.2, abs=0.02)
    assert (noisy.validation.labels == true.validation.labels).all()
