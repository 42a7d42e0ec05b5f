"""The step at which groups have converged, on curves whose answer is known."""

import pytest

from farkeras.metrics.convergence import convergence_steps, running_mean, spread


def history(**curves):
    length = len(next(iter(curves.values())))
    return [
        {
            "step": 10 * i,
            "loss": 0.0,
            "group_loss": {group: losses[i] for group, losses in curves.items()},
        }
        for i in range(length)
    ]


def test_running_mean_looks_back_only():
    assert running_mean([4, 2, 0, 6], window=2).tolist() == [4, 3, 1, 3]


def test_hand_made_curves():
    lines = history(
        fast=[1.0, 0.1, 0.05, 0.0],  # 90 % of the way down at step 10
        slow=[2.0, 1.5, 0.4, 0.0],  # at 0.2 or lower only at step 30
        flat=[1.0, 1.0, 1.0, 1.0],
    )
    steps = convergence_steps(lines, window=1)
    assert steps == {"fast": 10, "slow": 30, "flat": None}
    assert spread(steps) == 20


def test_the_lowest_loss_is_the_final_one():
    # Getting worse at the end does not move the step: what counts is the best that was reached.
    assert convergence_steps(history(g=[1.0, 0.5, 0.0, 0.9]), window=1) == {"g": 20}


def test_one_lucky_line_is_smoothed_away():
    losses = [1.0, 0.9, 0.0, 0.8, 0.7, 0.5, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1]
    assert convergence_steps(history(g=losses), window=1)["g"] == 20
    assert convergence_steps(history(g=losses), window=3)["g"] == 90


def test_a_step_trained_twice_counts_once_with_its_later_line():
    lines = history(g=[1.0, 0.9, 0.0])
    again = [{**lines[1], "group_loss": {"g": 0.05}}]
    assert convergence_steps(lines + again, window=1) == {"g": 10}


def test_lines_without_group_losses_do_not_count():
    validation = {"step": 5, "validation": {"loss": 1.0, "group_loss": {"g": 0.0}}}
    lines = [*history(g=[1.0, 0.1, 0.0]), validation, {"step": 7, "loss": 1.0}]
    assert convergence_steps(lines, window=1) == {"g": 10}


@pytest.mark.parametrize("lines", [[], [{"step": 1, "loss": 2.0}]])
def test_no_group_losses(lines):
    assert convergence_steps(lines) == {}
    assert spread({}) is None
