"""Fine-tuning in a run: a phase with a frozen backbone, and the end by patience."""

import numpy as np
import pytest
import tensorflow as tf

from farkeras.attributes import load_grouping
from farkeras.metrics.history import ended_early, read_history
from farkeras.models.batch_norms import batch_norms
from farkeras.training import building, validation
from farkeras.training.building import Run, build_model, open_data, start_findings
from farkeras.training.evaluation import evaluate_run
from farkeras.training.reporting import Listener
from farkeras.training.run import train_and_evaluate
from tests.training.small_run import GROUPING, small_config

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("far_amtn", {"wsgsa", "cgff"}),
        ("mgmtn", {"aml", "g2ff"}),
        ("shared_trunk", set()),
        ("private_stage", set()),
        ("score_fusion", set()),
    ],
)
def test_a_model_says_what_its_backbone_is(name, own):
    model = build_model(small_config("", model=name, mask_widths=(4, 4)), load_grouping(GROUPING))
    backbone = {id(v) for layer in model.backbone_layers for v in layer.variables}
    others = {v.path.split("/")[0] for v in model.variables if id(v) not in backbone}
    assert others == own | set(model.heads)
    shares = model.backbone_multipliers(0.5)
    assert shares == [0.5 if id(v) in backbone else 1.0 for v in model.trainable_variables]
    assert set(shares) == {0.5, 1.0}
    for layer in model.backbone_layers:
        layer.trainable = False
    assert set(model.backbone_multipliers(0.5)) == {1.0}


class Weights(Listener):
    """Notes the backbone, the other weights and the record after each call of the compiled loop."""

    def __init__(self, stop_after=None):
        self.stop_after, self.backbone, self.others, self.records = stop_after, {}, {}, {}

    def on_start(self, run, step):
        self.note(run, step)

    def note(self, run, step):
        backbone = [variable for layer in run.model.backbone_layers for variable in layer.variables]
        known = {id(variable) for variable in backbone}
        self.backbone[step] = [np.array(v) for v in backbone]
        self.others[step] = [np.array(v) for v in run.model.variables if id(v) not in known]

    def on_train(self, run, record):
        self.note(run, record["step"])
        self.records[record["step"]] = record
        if record["step"] == self.stop_after:
            raise KeyboardInterrupt


def same(some, others):
    return [np.array_equal(a, b) for a, b in zip(some, others, strict=True)]


@pytest.fixture(scope="module")
def frozen_first(faces_dir):
    """Half an epoch with a frozen backbone, then one in which it takes a tenth of the learning rate."""
    phases = {"frozen_epochs": 0.5, "epochs": 1.0, "backbone_lr_multiplier": 0.1}
    return small_config(faces_dir, ema_decay=0.5, eval_every_epochs=0.5, checkpoint_every_steps=5, **phases)


@pytest.fixture(scope="module")
def untouched(frozen_first, tmp_path_factory):
    listener, workdir = Weights(), tmp_path_factory.mktemp("frozen_first")
    return train_and_evaluate(frozen_first, workdir, [listener]), listener, workdir


def test_the_backbone_stays_in_the_first_phase_and_learns_in_the_second(untouched):
    run, seen, workdir = untouched
    assert all(same(seen.backbone[0], seen.backbone[6]))  # statistics of batch normalisation, too
    moved = same(seen.others[0], seen.others[6])
    assert moved.count(False) > len(moved) / 2  # not biases behind a gate that is closed at first
    assert not any(same(seen.backbone[6], seen.backbone[18]))
    assert [(phase.name, phase.end) for phase in run.phases] == [("frozen backbone", 6), ("all", 18)]
    assert [seen.records[step]["phase"] for step in (6, 18)] == ["frozen backbone", "all"]
    # The rate is constant after the warm-up, and the second phase has its own warm-up and decay.
    assert seen.records[6]["learning_rate"] == pytest.approx(2e-3)
    assert seen.records[18]["learning_rate"] < 1e-4
    assert [int(phase.step.optimizer.iterations.numpy()) for phase in run.phases] == [6, 12]
    found = [r["validation"]["mean_balanced_accuracy"] for r in read_history(workdir / "metrics.jsonl") if "best" in r]
    assert len(found) == 3  # that of the frozen phase may select the best model, too
    assert float(run.state.best) == max(found)


@pytest.mark.parametrize("stop_after", [5, pytest.param(10, marks=pytest.mark.long)])
def test_a_run_continues_in_either_phase(untouched, frozen_first, tmp_path, stop_after):
    with pytest.raises(KeyboardInterrupt):
        train_and_evaluate(frozen_first, tmp_path, [Weights(stop_after)])
    continued = train_and_evaluate(frozen_first, tmp_path)
    assert all(same(untouched[0].model.get_weights(), continued.model.get_weights()))


def test_a_share_of_zero_freezes_the_backbone(faces_dir, tmp_path):
    config = small_config(faces_dir, model="shared_trunk", backbone_lr_multiplier=0.0, epochs=0.0)
    seen = Weights()
    train_and_evaluate(config, tmp_path, [seen])
    assert all(same(seen.backbone[0], seen.backbone[1]))
    assert not all(same(seen.others[0], seen.others[1]))


def test_masks_first_then_the_heads_then_all(annotated_dir, tmp_path):
    config = small_config(annotated_dir, model="mgmtn", mask_widths=(4, 4), mask_epochs=1.0, frozen_epochs=2.0)
    run = Run(config, tmp_path, open_data(config))
    assert [(phase.start, phase.end) for phase in run.phases] == [(0, 12), (12, 36), (36, 60)]
    masks, heads, everything = ({v.path.split("/")[0] for v in phase.step.variables} for phase in run.phases)
    assert masks == {"aml"}
    assert heads == {"g2ff", *run.model.heads}
    assert heads < everything
    assert "aml" not in everything
    run.phases[1].begin()
    assert not any(norm.trainable for norm in batch_norms(run.model))
    run.phases[2].begin()
    assert all(norm.trainable for norm in batch_norms(run.model.backbone_layers[0]))
    assert not run.model.mask_network.trainable


def test_a_short_frozen_phase_does_not_make_the_statistics_noisier(faces_dir, tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(building, "suit_batch_norms", lambda model, shortest, momentum: steps.append(shortest))
    config = small_config(faces_dir, frozen_epochs=1.0, epochs=50.0)
    Run(config, tmp_path, open_data(config))
    assert steps == [600]


@pytest.fixture
def figures(monkeypatch):
    """Step -> the balanced accuracy that the validation finds; 0.5 at every other step."""
    script = {}
    evaluate, validate = validation.evaluate_attributes, validation.validate

    def scripted(run, phase, step):
        figure = {"mean_balanced_accuracy": script.get(step, 0.5)}
        monkeypatch.setattr(validation, "evaluate_attributes", lambda *arguments: evaluate(*arguments) | figure)
        return validate(run, phase, step)

    monkeypatch.setattr("farkeras.training.loop.validate", scripted)
    return script


def patient(faces_dir, **changes):
    """A validation every 3 steps; the third in a row without a better one ends the run."""
    changes = {"eval_every_epochs": 0.25, "checkpoint_every_steps": 100, "patience": 3, "epochs": 3.0} | changes
    return small_config(faces_dir, model="shared_trunk", **changes)


def validations(workdir):
    return [line for line in read_history(workdir / "metrics.jsonl") if "validation" in line]


SAID = "The run ended early, at step 15 of 36: 3 validations in a row brought no better mean_balanced_accuracy."


@pytest.mark.long
def test_patience_ends_the_run(faces_dir, tmp_path, figures):
    figures |= {3: 0.6, 6: 0.7, 9: 0.65, 12: 0.7}
    config, whole, cut = patient(faces_dir), tmp_path / "whole", tmp_path / "cut"
    seen = Weights()
    run = train_and_evaluate(config, whole, [seen])
    lines = validations(whole)
    assert [(line["step"], line["without_better"]) for line in lines] == [(3, 0), (6, 0), (9, 1), (12, 2), (15, 3)]
    assert [line.get("ended_early") for line in lines] == [None, None, None, None, SAID]
    assert (int(run.state.step), run.finished, ended_early(lines)) == (15, True, SAID)
    assert seen.records[15]["learning_rate"] > 1e-3  # the schedule stays that of 36 steps
    texts = [
        value.tag
        for path in (whole / "tensorboard").glob("events*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]
    assert texts.count("ended_early") == 1

    # A run that is interrupted in between knows its count: it ends at the same step with the same weights.
    for stop_after in (9, 15):
        with pytest.raises(KeyboardInterrupt):
            train_and_evaluate(config, cut, [Weights(stop_after)])
    continued = train_and_evaluate(config, cut)
    assert continued.ended_early == SAID
    assert all(same(continued.model.get_weights(), run.model.get_weights()))

    # The same command trains no further, and the run evaluates as any other.
    before, again = (cut / "metrics.jsonl").read_bytes(), Weights()
    assert train_and_evaluate(config, cut, [again]).ended_early == SAID
    assert (cut / "metrics.jsonl").read_bytes() == before
    assert list(again.backbone) == [15]
    assert start_findings(config, cut) == []
    evaluate_run(cut)
    assert SAID.replace("_", " ") in (cut / "report.html").read_text("utf-8")


@pytest.mark.long
def test_patience_waits_for_the_phase_of_everything(faces_dir, tmp_path, figures):
    figures |= {3: 0.8, 21: 0.9}
    run = train_and_evaluate(patient(faces_dir, frozen_epochs=1.0, epochs=1.25), tmp_path)
    counts = {line["step"]: line.get("without_better") for line in validations(tmp_path)}
    # Three validations of the frozen phase are no better than the first; the validation at step 21 comes in time.
    assert counts == {3: None, 6: None, 9: None, 12: None, 15: 1, 18: 2, 21: 0, 24: 1, 27: 2}
    assert (int(run.state.step), run.ended_early) == (27, "")
