"""Paired differences and the steps to 90 %, by hand."""

import numpy as np
import pytest
from scipy import stats

from farkeras.studies.differences import Difference, final_gains, mean_gains, paired, spread, steps_to_gains
from farkeras.studies.plan import Trial
from tests.studies.small_study import made_up, small_plan


def test_a_paired_difference_by_hand():
    found = paired({0: 0.9, 1: 0.8, 2: 0.7}, {0: 0.8, 1: 0.75, 2: 0.7, 3: 0.1})
    assert (found.mean, found.n) == (pytest.approx(0.05), 3)
    half = 4.302653 * 0.05 / np.sqrt(3)  # the t quantile of 2 degrees of freedom; differences 0.1, 0.05, 0
    assert found.interval == pytest.approx((0.05 - half, 0.05 + half), abs=1e-6)


def test_the_interval_is_that_of_a_paired_t_test():
    ours, others = np.random.default_rng(0).normal(size=(2, 5))
    found = paired(dict(enumerate(ours)), dict(enumerate(others)))
    assert found.interval == pytest.approx(tuple(stats.ttest_rel(ours, others).confidence_interval()))


def test_one_seed_has_no_interval_and_no_seed_no_difference():
    assert paired({0: 0.9}, {0: 0.8}) == Difference(pytest.approx(0.1), None, 1)
    assert paired({0: 0.9}, {1: 0.8}) is None
    assert paired({0: None}, {0: 0.8}) is None


def test_spread_by_hand():
    assert spread([0.5, 0.7, 0.9]) == (pytest.approx(0.7), pytest.approx(0.2), 3)
    assert spread([0.5]) == (0.5, None, 1)
    assert spread([None]) is None


def test_steps_to_90_percent_of_the_gain_of_uniform_weights(tmp_path):
    plan = small_plan(tmp_path)
    trials = [Trial("screen", "far", "standard", seed, 1e-3) for seed in (0, 1)]
    uniform = [
        made_up(plan, trials[0], 0.8, losses=(1.0, 0.6, 0.2, 0.2)),
        made_up(plan, trials[1], 0.8, losses=(1.0, 0.9, 0.6, 0.4)),
    ]
    assert uniform[0].curves["group_loss"]["Eyes"] == pytest.approx([0.5, 0.3, 0.1, 0.1])
    assert final_gains(uniform[0].curves) == pytest.approx({"Hair": 0.8, "Eyes": 0.8})  # shares of the first loss
    gains = mean_gains(uniform)
    assert gains == pytest.approx({"Hair": 0.7, "Eyes": 0.7})
    # 90 % of 0.7 is 0.63: Hair's loss of 1.0 must fall to 0.37, and that of Eyes of 0.5 to 0.185.
    assert steps_to_gains(uniform[0].curves, gains) == {"Hair": 60, "Eyes": 60}
    assert steps_to_gains(uniform[1].curves, gains) == {"Hair": 80, "Eyes": 80}  # never: the whole run
    exact = {"step": [20, 40], "group_loss": {"Hair": [1.0, 0.1]}}
    assert steps_to_gains(exact, {"Hair": 1.0}) == {"Hair": 40}
    assert mean_gains([]) == {}
