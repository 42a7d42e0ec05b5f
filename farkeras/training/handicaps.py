"""Makes training harder on purpose, for studies: wrong labels, and losses of another scale."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from farkeras.attributes import Grouping
from farkeras.config import Config
from farkeras.data.examples import UNKNOWN, Examples
from farkeras.errors import FarkerasError

ALL = "all"


def with_wrong_labels(train: Examples, config: Config, grouping: Grouping) -> Examples:
    """Flips known labels at random, in the groups and with the probabilities of `config.label_noise`.

    The flipped labels are the same for every `seed`, and part of those of any higher probability.

    Args:
        train: The training split, with the attributes of the grouping.
        config: All settings.
        grouping: The groups.

    Raises:
        FarkerasError: See `numbers_of_groups`, or a probability is above 0.5.
    """
    if not config.label_noise:
        return train
    chances = numbers_of_groups("label_noise", config.label_noise, grouping, 0.0)
    if chances.max() > 0.5:
        raise FarkerasError(
            "`label_noise` must have probabilities of at most 0.5 (labels without information). Received: "
            f"{chances.max():g}."
        )
    flipped = np.random.default_rng(0).random(train.labels.shape) < chances[np.array(grouping.group_of)]
    labels = np.where(flipped & (train.labels != UNKNOWN), 1 - train.labels, train.labels).astype(np.int8)
    return replace(train, labels=labels)


def loss_factors(config: Config, grouping: Grouping) -> np.ndarray | None:
    """Returns the factor of each group's loss, `[K]`, from `config.loss_factors`; None if all are 1.

    Raises:
        FarkerasError: See `numbers_of_groups`.
    """
    if not config.loss_factors:
        return None
    return numbers_of_groups("loss_factors", config.loss_factors, grouping, 1.0)


def numbers_of_groups(name: str, items: Sequence[str], grouping: Grouping, default: float) -> np.ndarray:
    """Returns the number of each group, `[K]`, from items such as `Hair=10`; `all=10` holds for all groups.

    Args:
        name: The setting, for the message.
        items: The items; a later one counts more than an earlier one.
        grouping: The groups.
        default: The number of a group that no item names.

    Raises:
        FarkerasError: An item has another form, a negative number, or a name that is no group.
    """
    numbers = np.full(len(grouping), default)
    for item in items:
        group, _, text = item.rpartition("=")
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if group not in (*grouping.names, ALL) or not 0 <= number < np.inf:
            raise FarkerasError(
                f"`{name}` must be a list of GROUP=NUMBER, with a number of at least 0 and a group among "
                f"{', '.join((*grouping.names, ALL))}. Received: {item}."
            )
        numbers[[group in (ALL, each) for each in grouping.names]] = number
    return numbers
