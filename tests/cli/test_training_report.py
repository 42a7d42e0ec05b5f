"""What a training run shows: a parameter table, lines with rates, validations, undecodable files."""

import io
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from rich.console import Console

from farkeras.attributes import Grouping
from farkeras.cli import training_report as module
from farkeras.cli.training_report import ConsoleReport, duration, parameter_table
from farkeras.config import Config
from farkeras.data.examples import Decoded, Examples
from farkeras.training.validation import blind_loss


@pytest.fixture
def run():
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Conv2D(8, 3, name="stem")(inputs))
    grouping = Grouping({"Eyes": ("a", "b"), "Nose": ("c",)})
    labels = np.zeros((6000, 3), np.int8)
    labels[::5] = 1
    train = Examples(grouping.attributes, np.arange(6000).astype(str), labels)
    return SimpleNamespace(
        model=keras.Model(inputs, x, name="small"),
        data=SimpleNamespace(train=train, validation=train.take(np.arange(1000)), grouping=grouping, left_out=()),
        strategy=SimpleNamespace(num_replicas_in_sync=1),
        config=Config(batch_size=32),
        total_steps=100,
        phases=[SimpleNamespace(name="all", end=100)],
        finished=False,
        ended_early="",
        undecodable=set(),
        undecodable_validation=[],
        started_anew=[],
        mask_weights="",
    )


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: now.seconds)
    return now


def report_of(terminal=False, **options):
    console = Console(file=io.StringIO(), width=200, highlight=False, force_terminal=terminal)
    return ConsoleReport(console, **options)


def text(report):
    return report.console.file.getvalue()


def record(step, steps=10, steps_per_second=4.0, data_wait=0.25):
    return {
        "step": step,
        "steps": steps,
        "epoch": step / 50,
        "loss": 0.51234,
        "steps_per_second": steps_per_second,
        "data_wait": data_wait,
    }


def test_decoded_images_in_memory(run):
    none = np.zeros(0, np.int64)
    run.data.train = replace(run.data.train, decoded=Decoded(np.zeros(20_000_000, np.uint8), none, none))
    report = report_of()
    report.on_start(run, 0)
    assert "6,000 training and 1,000 validation images, " in text(report)
    assert "Their decoded images take 0.02 GB of memory.\n" in text(report)


def test_parameter_table(run):
    console = Console(file=io.StringIO(), width=100)
    console.print(parameter_table(run.model))
    rows = {line.split()[1]: line.split() for line in console.file.getvalue().splitlines() if "│" in line}
    # 3 x 3 x 3 x 8 weights and 8 biases; scale and shift beside the moving mean and variance.
    assert [rows["stem"][i] for i in (-6, -4, -2)][1:] == ["224", "0"]
    assert [rows["norm"][i] for i in (-4, -2)] == ["16", "16"]
    assert [rows["total"][i] for i in (-4, -2)] == ["240", "16"]
    assert "2 x 2 x 8" in console.file.getvalue()


def test_start(run):
    report = report_of()
    report.on_start(run, 0)
    assert "small: parameters" in text(report)
    assert (
        "6,000 training and 1,000 validation images, 3 attributes in 2 groups, 1 replica(s), 100 steps of 32."
        in text(report)
    )
    assert "Continues" not in text(report)
    report.on_start(run, 40)
    assert "The run continues at step 40." in text(report)


def test_rates_leave_out_the_trip_that_compiles(run, clock):
    report = report_of(seconds_between=0.0)
    report.on_start(run, 0)
    before = len(text(report))
    report.on_train(run, record(10, steps_per_second=0.1))
    assert len(text(report)) == before
    # 10 steps in 2.5 s and 10 in 5 s: 2.7 steps/s, 85 images/s, 70 steps to go; waits 0.25 x 2.5 + 0.4 x 5 of 7.5 s.
    report.on_train(run, record(20))
    report.on_train(run, record(30, steps_per_second=2.0, data_wait=0.4))
    expected = " 30% step 30/100  epoch 0.6  loss 0.5123  2.7 steps/s  85 images/s  ETA 0:26  data wait 35%"
    assert text(report).splitlines()[-1] == expected


def test_a_line_now_and_then(run, clock):
    report = report_of(seconds_between=10.0)
    report.on_start(run, 0)
    before = text(report).count("\n")
    for i, seconds in enumerate((0, 9, 11, 12, 22)):
        clock.seconds = seconds
        report.on_train(run, record(10 * (i + 1)))
    assert text(report).count("\n") - before == 2


def test_a_bar_on_a_terminal(run):
    report = report_of(terminal=True)
    report.on_start(run, 0)
    report.on_train(run, record(10))
    report.on_train(run, record(20))
    report.on_end(run)
    assert "step 20/100" in text(report)
    assert report.bar is None


def test_validation(run):
    figures = {"mean_accuracy": 0.9123, "majority_accuracy": 0.8, "mean_balanced_accuracy": None, "loss": 0.25}
    report = report_of()
    report.on_validation(run, {"step": 1234, "best": True, "validation": figures})
    report.on_validation(run, {"step": 2468, "best": False, "validation": figures})
    first, second = text(report).splitlines()
    assert first == (
        "Validation at step 1,234: accuracy 91.23 % (majority class 80.00 %), balanced – %, loss 0.2500, best so far"
    )
    assert second.endswith("loss 0.2500")


def test_phases_and_the_end_by_patience(run):
    run.phases = [SimpleNamespace(name="frozen backbone", end=40), SimpleNamespace(name="all", end=100)]
    report = report_of(seconds_between=0.0)
    report.on_start(run, 0)
    assert text(report).splitlines()[-1] == "Phases: frozen backbone to step 40, then all to step 100."
    for step in (10, 20):
        report.on_train(run, record(step) | {"phase": "frozen backbone"})
    assert "step 20/100  epoch 0.4  frozen backbone  loss 0.5123  " in text(report).splitlines()[-1]
    figures = {"mean_accuracy": 0.9, "majority_accuracy": 0.8, "mean_balanced_accuracy": 0.7, "loss": 0.25}
    ended = "The run ended early, at step 60 of 100: 3 validations in a row brought no better mean_accuracy."
    report.on_validation(run, {"step": 60, "best": False, "ended_early": ended, "validation": figures})
    assert text(report).splitlines()[-1] == ended
    run.ended_early, run.finished = ended, True
    again = report_of(terminal=True)
    again.on_start(run, 60)
    assert ended in text(again)
    assert "continues" not in text(again)
    assert again.bar is None


def test_what_is_not_trained_and_what_teaches_nothing(run):
    report = report_of()
    run.data.left_out = tuple("defghij")
    run.data.train.labels[:, 0], run.data.train.labels[:, 2] = 0, np.tile([1, -1], 3000)
    report.on_start(run, 0)
    assert text(report).splitlines()[-2:] == [
        "Attributes that are not trained (excluded or in no group): d, e, f, g, h and 2 more.",
        "Warning: a model cannot learn attributes with training labels of one class: a (never positive), c (always "
        "positive). An empty cell means unknown, not no: write 0 where an attribute is absent.",
    ]


@pytest.mark.parametrize(
    ("loss", "balanced", "warns"), [(0.2, 0.51, True), (0.2, 0.7, False), (0.45, 0.51, False), (None, 0.5, False)]
)
def test_training_that_improves_while_validation_does_not(run, loss, balanced, warns):
    """A fifth of the labels is positive: 0.50 is the loss of a model that always answers so."""
    report = report_of()
    report.on_start(run, 0)
    report.on_train(run, record(10) | {"loss": loss})
    figures = {"mean_accuracy": 0.8, "majority_accuracy": 0.8, "mean_balanced_accuracy": balanced, "loss": 0.6}
    for step in (10, 20):
        report.on_validation(run, {"step": step, "best": False, "validation": figures})
    warnings = [line for line in text(report).splitlines() if line.startswith("Warning")]
    assert warnings == warns * [
        "Warning: training improves (loss 0.20; a model that ignores the image reaches 0.50), but validation does not "
        "(balanced accuracy 51.00 %, chance is 50 %). Try more images, --init_from or --backbone_weights, more "
        "augmentation, or a lower --batch_norm_momentum."
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 0.5004),  # the entropy of 0.2
        ({"positive_weights": "balanced"}, 0.8 * 2 * 0.6931),  # as 4 to 4 of 5: each label at p = 1/2
        ({"focal_gamma": 2.0}, 0.2 * 0.8**2 * 1.6094 + 0.8 * 0.2**2 * 0.2231),
    ],
)
def test_the_loss_of_a_model_that_ignores_the_image(run, settings, expected):
    labels = run.data.train.labels
    labels[:5] = -1  # one positive and four negatives
    assert blind_loss(labels, Config(**settings)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("count", "lines"), [(0, 0), (2, 3), (10, 11), (12, 12)])
def test_undecodable_files_are_listed_at_the_end(run, count, lines):
    report = report_of()
    run.undecodable = {f"{i:02}.jpg" for i in range(count)}
    report.on_end(run)
    shown = text(report).splitlines()
    assert len(shown) == lines
    if count:
        assert shown[:2] == [f"{count} undecodable training images were left out:", "  00.jpg"]
    if count > 10:
        assert shown[-1] == "  ... and 2 more, see metrics.jsonl"


def test_undecodable_validation_images_are_listed_too(run):
    report = report_of()
    run.undecodable_validation = ["v [1].jpg"]
    report.on_end(run)
    assert text(report).splitlines() == [
        "1 undecodable validation images were left out:",
        "  v [1].jpg",
    ]


@pytest.mark.parametrize(
    ("anew", "named"),
    [
        ([], "nothing"),
        (["head_Eyes/kernel", "head_Eyes/bias", "wsgsa/squeeze_kernel"], "head_Eyes, wsgsa"),
        (["head_Hair>2Ftop/kernel", "head_%E5%A4%B4/kernel".replace("%", ">")], "head_Hair/top, head_头"),
    ],
)
def test_what_starts_anew_is_named(run, anew, named):
    report = report_of()
    run.config, run.started_anew = Config(batch_size=32, init_from="runs/[a]"), anew
    report.on_start(run, 0)
    assert text(report).splitlines()[-1] == f"Initial weights from runs/[a]; new: {named}."


@pytest.mark.parametrize(
    ("start", "named"),
    [
        ("none", "random weights"),
        ("shipped", "the weights that farkeras ships (--mask_weights=none: random)"),
        ("runs/[a]", "runs/[a]"),
    ],
)
def test_where_the_masks_start_is_named(run, start, named):
    report, continued = report_of(), report_of()
    run.mask_weights = start
    report.on_start(run, 0)
    assert text(report).splitlines()[-1] == f"Mask network: starts from {named}."
    continued.on_start(run, 7)
    assert "Mask network" not in text(continued)


def test_few_images_without_shipped_masks_get_advice(run):
    report = report_of()
    run.mask_weights = "none"
    run.data.train = Examples(("a",), np.arange(1998).astype(str), np.array([[0], [1]] * 999, np.int8))
    report.on_start(run, 0)
    advice = "For few images, farkeras ships weights for --mask_widths=8,16,24,32,64 and --mask_stride=2"
    assert advice in text(report)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (3600, "1:00:00"), (90061, "25:01:01")],
)
def test_duration(seconds, shown):
    assert duration(seconds) == shown
