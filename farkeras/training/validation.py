"""Validation of a run: its metrics, and the file of the best model."""

import numpy as np

from farkeras.attributes import Grouping
from farkeras.config import Config
from farkeras.data.procedural import is_procedural
from farkeras.files import writing
from farkeras.inference.forward import predict_examples
from farkeras.losses import balanced_positive_weights
from farkeras.metrics.attribute_metrics import evaluate_attributes
from farkeras.models.model_file import MODEL_FILE, ModelMetadata, current_versions, save_model
from farkeras.training.building import Run
from farkeras.training.calibration import described, fit_calibration
from farkeras.training.phases import Phase


def validate(run: Run, phase: Phase, step: int) -> dict:
    """Validates a run and saves the model if it is the best so far.

    Args:
        run: The run.
        phase: The phase of the last step.
        step: Number of steps taken.

    Returns:
        The record for the metrics file.

    Raises:
        BrokenOff: The run was asked to stop. Nothing has changed.
    """
    run.final_model.set_weights(phase.weights())
    data, config = run.data, run.config
    labels, probabilities, run.undecodable_validation, mask_metrics = predict_examples(
        run.final_model,
        data.validation,
        data.preprocessing,
        -(-config.batch_size // run.workers.count),
        run.local,
        run.stop.breaking_off(run.forward),
        data.validation_keypoints,
        (run.workers.number, run.workers.count),
        run.workers.gather,
    )
    evaluation = evaluate_attributes(labels, probabilities, data.grouping)
    names = ("mean_accuracy", "mean_balanced_accuracy", "mean_roc_auc", "majority_accuracy")
    metrics = {
        **{name: evaluation[name] for name in names},
        **validation_losses(labels, probabilities, data.grouping),
        "group_balanced_accuracy": {name: group["balanced_accuracy"] for name, group in evaluation["groups"].items()},
        **mask_metrics,
        **({"undecodable": run.undecodable_validation} if run.undecodable_validation else {}),
    }
    metrics = run.workers.from_chief(metrics)  # processors may differ in the last bit, on which decisions depend
    chosen = metrics[config.select_by]
    best = phase.chooses_best and chosen is not None and chosen > float(run.state.best)
    if best:
        run.state.best.assign(chosen)
    if best and run.workers.chief:
        at_best, procedural = {"step": step, **metrics}, is_procedural(config.data_dir)
        # Fitted whenever a model is saved, so that the file of an interrupted run has its calibration, too.
        fitted_on = described(config.source, config.data_dir, "validation")
        calibration = fit_calibration(labels, probabilities, data.grouping, fitted_on)
        metadata = ModelMetadata(
            data.grouping, data.preprocessing, config.to_dict(), at_best, current_versions(), procedural, calibration
        )
        with writing(run.workdir / MODEL_FILE, "saved"):
            save_model(run.final_model, metadata, run.workdir / MODEL_FILE)
    patience: dict[str, int | str] = {}
    if phase.patience:
        run.without_better = 0 if best else run.without_better + 1
        patience["without_better"] = run.without_better
        if run.without_better >= phase.patience and step < run.total_steps:
            patience["ended_early"] = run.ended_early = (
                f"The run ended early, at step {step:,} of {run.total_steps:,}: {run.without_better} validations in a "
                f"row brought no better {config.select_by}."
            )
    return {"step": step, "epoch": step / run.steps_per_epoch, "best": best, **patience, "validation": metrics}


def validation_losses(labels: np.ndarray, probabilities: np.ndarray, grouping: Grouping) -> dict:
    """Computes the mean unweighted cross-entropy of known labels.

    `loss` is the mean over all labels, `group_loss` that of each group (None for a group without labels).
    """
    p = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    known = labels >= 0
    losses = np.where(known, -np.log(np.where(labels == 1, p, 1 - p)), 0.0)
    group_of = np.array(grouping.group_of)

    def mean(columns: slice | np.ndarray) -> float | None:
        count = int(known[:, columns].sum())
        return float(losses[:, columns].sum() / count) if count else None

    by_group = {name: mean(group_of == g) for g, name in enumerate(grouping.names)}
    return {"loss": mean(slice(None)), "group_loss": by_group}


def blind_loss(labels: np.ndarray, config: Config) -> float:
    """Returns the training loss, with uniform weights, of a model that predicts the label frequencies for every image.

    Args:
        labels: Labels of the training split, `[N, A]`.
        config: Settings with the weights of positive labels and the focal term.
    """
    weights = balanced_positive_weights(labels) if config.positive_weights == "balanced" else 1.0
    positives, negatives = weights * (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
    p = np.clip(positives / np.maximum(positives + negatives, 1), 1e-7, 1 - 1e-7)
    losses = positives * (1 - p) ** config.focal_gamma * -np.log(p)
    losses += negatives * p**config.focal_gamma * -np.log(1 - p)
    return float(losses.sum() / (labels >= 0).sum())
