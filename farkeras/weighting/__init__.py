"""Weights of the losses of attribute groups or other tasks: uniform, DWS, DWA, homoscedastic uncertainty and FAMO.

With `L_g` the mean loss of group g over its known labels, `n_g` its number of attributes and `w_g` its weight, the
training loss (our formulation) is

    total = sum_g w_g n_g L_g / sum_g n_g

Uniform weights, `w_g = 1`, give the mean over all attributes. In `fit`, use `model.compile(..., weighting="dws")` with
a model of `farkeras.models`; see `farkeras.models.MultiTaskModel`. `farkeras.train` uses the same objects.
"""

from collections.abc import Callable

from farkeras.config import Config
from farkeras.weighting.base import TaskWeighting
from farkeras.weighting.dws import DWS
from farkeras.weighting.relatives import DWA, FAMO, Uncertainty

__all__ = ["DWA", "DWS", "FAMO", "TaskWeighting", "Uncertainty", "get", "make_weighting"]

_LEAST_WARMUP_STEPS = 10  # the mean loss of fewer batches is too random to measure all later losses by


def get(identifier: str | TaskWeighting) -> TaskWeighting:
    """Returns a weighting object.

    Args:
        identifier: `"uniform"`, `"dws"`, `"uncertainty"`, `"famo"`, or an object of this module, which is returned as
            it is.

    Raises:
        ValueError: The name is unknown, or is `"dwa"`, which needs an argument.
    """
    if isinstance(identifier, TaskWeighting):
        return identifier
    if identifier == "dwa":
        raise ValueError(
            "`weighting='dwa'` needs the number of steps per epoch. Use "
            "`weighting=farkeras.weighting.DWA(steps_per_epoch=...)`."
        )
    classes: dict[str, Callable[[], TaskWeighting]] = {
        "uniform": TaskWeighting,
        "dws": DWS,
        "uncertainty": Uncertainty,
        "famo": FAMO,
    }
    if identifier not in classes:
        raise ValueError(
            f"`weighting` must be one of {', '.join(classes)}, or an object of `farkeras.weighting`. "
            f"Received: weighting={identifier!r}"
        )
    return classes[identifier]()


def make_weighting(config: Config, steps_per_epoch: float) -> TaskWeighting:
    """Creates the weighting that `config.weighting` names, with its settings and without state."""
    if config.weighting == "dws":
        warmup = max(_LEAST_WARMUP_STEPS, round(config.weighting_warmup_epochs * steps_per_epoch))
        return DWS(warmup, config.dws_alpha, config.dws_beta, config.weighting_decay)
    if config.weighting == "dwa":
        return DWA(round(steps_per_epoch), config.dwa_temperature)
    return get(config.weighting)
