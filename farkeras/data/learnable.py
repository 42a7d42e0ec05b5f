"""Whether anything can be learned from the labels of a data set, and a best model chosen: told before the first step.

A run checks it when it opens its data, `check_data_set` beside all else.
"""

import numpy as np

from farkeras.data.examples import UNKNOWN, Examples
from farkeras.errors import FarkerasError, and_more


def one_class(examples: Examples) -> dict[str, str]:
    """The attributes whose known labels are not of both classes, each with what they are: "always positive"."""
    known, positive = (examples.labels != UNKNOWN).sum(axis=0), (examples.labels == 1).sum(axis=0)
    alike = {}
    for attribute, labelled, of_these in zip(examples.attributes, known.tolist(), positive.tolist(), strict=True):
        if of_these in (0, labelled):
            alike[attribute] = "never labelled" if not labelled else f"{'always' if of_these else 'never'} positive"
    return alike


def advice_on_blanks(examples: Examples) -> str:
    """A sentence for tables with 1 for yes and nothing for no; empty where no attribute looks so."""
    blank = (examples.labels == UNKNOWN).any(axis=0) & (examples.labels == 1).any(axis=0)
    if not (blank & ~(examples.labels == 0).any(axis=0)).any():
        return ""
    return " An empty cell means unknown, not no: write 0 where an attribute is absent."


def check_batch_size(train: Examples, batch_size: int) -> None:
    """Raises FarkerasError where the training split has less than a batch."""
    if len(train) < batch_size:
        raise FarkerasError(
            f"The training split has {len(train)} images, fewer than `batch_size={batch_size}`; lower it."
        )


def check_classes(train: Examples) -> None:
    """Raises FarkerasError where no attribute can be learned from the training split."""
    alike = one_class(train)
    if len(alike) == len(train.attributes):
        (attribute, labels), *_ = alike.items()
        raise FarkerasError(
            "Nothing can be learned from the training split: expected an attribute with positive and negative labels, "
            f"but {attribute} is {labels}{and_more(alike)}.{advice_on_blanks(train)}"
        )


def check_selection(validation: Examples, select_by: str) -> None:
    """Raises FarkerasError where the figure `select_by` is undefined on the validation split, so no model is kept."""
    if select_by == "mean_accuracy":
        defined, needed = (validation.labels != UNKNOWN).any(), "a known label"
    else:
        both = [(validation.labels == label).any(axis=0) for label in (0, 1)]
        defined, needed = np.logical_and(*both).any(), "positive and negative labels"
    if not defined:
        raise FarkerasError(
            f"`select_by={select_by}` is undefined on the validation split, so no model would be kept: expected an "
            f"attribute with {needed} in its {len(validation):,} images. Label more of them, or enlarge the split."
            + advice_on_blanks(validation)
        )
