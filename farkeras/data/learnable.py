"""Checks that a data set's labels are sufficient for training and for selecting the best model.

A run performs these checks when it opens its data, before its first step. `check_data_set` includes them.
"""

from collections.abc import Collection

import numpy as np

from farkeras.data.examples import UNKNOWN, Examples
from farkeras.errors import FarkerasError, and_more


def one_class(examples: Examples) -> dict[str, str]:
    """Returns the attributes without known labels of both classes, each with a description: "always positive"."""
    known, positive = (examples.labels != UNKNOWN).sum(axis=0), (examples.labels == 1).sum(axis=0)
    alike = {}
    for attribute, labelled, of_these in zip(examples.attributes, known.tolist(), positive.tolist(), strict=True):
        if of_these in (0, labelled):
            alike[attribute] = "never labelled" if not labelled else f"{'always' if of_these else 'never'} positive"
    return alike


def advice_on_blanks(examples: Examples) -> str:
    """Returns advice for tables that write 1 for yes and nothing for no; "" if no attribute looks like that."""
    blank = (examples.labels == UNKNOWN).any(axis=0) & (examples.labels == 1).any(axis=0)
    if not (blank & ~(examples.labels == 0).any(axis=0)).any():
        return ""
    return " An empty cell means unknown, not no: write 0 where an attribute is absent."


def check_attributes(attributes: Collection[str]) -> None:
    """Raises `FarkerasError` if the data have no attributes."""
    if not attributes:
        raise FarkerasError(
            "The data have no attributes, so only a mask network can be trained on them (`python -m "
            "farkeras.pretrain_masks`). Add a column of 1 and 0 for each attribute."
        )


def check_batch_size(train: Examples, batch_size: int) -> None:
    """Raises `FarkerasError` if the training split has fewer images than a batch."""
    if len(train) < batch_size:
        raise FarkerasError(
            f"The training split has {len(train)} images, fewer than `batch_size={batch_size}`. Lower `batch_size`."
        )


def check_classes(train: Examples) -> None:
    """Raises `FarkerasError` if no attribute has both positive and negative labels in the training split."""
    check_attributes(train.attributes)
    alike = one_class(train)
    if len(alike) == len(train.attributes):
        (attribute, labels), *_ = alike.items()
        raise FarkerasError(
            "Nothing can be learned from the training split: expected an attribute with positive and negative labels, "
            f"but {attribute} is {labels}{and_more(alike)}.{advice_on_blanks(train)}"
        )


def check_selection(validation: Examples, select_by: str) -> None:
    """Raises `FarkerasError` if the metric `select_by` is undefined on the validation split, so no model is kept."""
    if select_by == "mean_accuracy":
        defined, needed = (validation.labels != UNKNOWN).any(), "a known label"
    else:
        both = [(validation.labels == label).any(axis=0) for label in (0, 1)]
        defined, needed = np.logical_and(*both).any(), "positive and negative labels"
    if not defined:
        raise FarkerasError(
            f"`select_by={select_by}` is undefined on the validation split, so no model would be kept: none of the "
            f"attributes has {needed} in its {len(validation):,} images. Label more of them, or enlarge the split."
            + advice_on_blanks(validation)
        )
