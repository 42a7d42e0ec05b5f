"""Finds contradictions in answers and labels, and the most probable answers without a contradiction, with NumPy."""

import os
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from farkeras.consistency.rules import Contradiction, read_rules
from farkeras.errors import FarkerasError, few

MAX_COMBINATIONS = 10_000
"""Largest number of allowed combinations of the attributes that rules connect with each other."""

_CLIP = 1e-12  # a float32 probability may be exactly 0 or 1, whose log-odds are infinite
_CELLS = 2**22  # size of the largest array


class Consistency:
    """The contradictions among the attributes of a model or a data set.

    Args:
        attributes: The attributes, in the order of the columns of all arrays.
        rules: A file of rules in addition to those of the package, see `read_rules`; or the contradictions themselves.

    Attributes:
        attributes: The attributes.
        contradictions: The contradictions whose attributes are all in `attributes`.
        ignored: Number of contradictions that name another attribute. They cannot be found.

    Raises:
        FarkerasError: The file is invalid, the rules allow no combination, or they connect so many attributes that more
            than `MAX_COMBINATIONS` combinations are allowed.

    Examples:
        >>> consistency = Consistency(["No_Beard", "Goatee", "Smiling"])
        >>> consistency.answers([[0.8, 0.6, 0.9], [0.6, 0.9, 0.2]])
        array([[ True, False,  True],
               [False,  True, False]])
    """

    def __init__(self, attributes: Sequence[str], rules: str | os.PathLike | Iterable[Contradiction] = "") -> None:
        every = read_rules(rules) if isinstance(rules, str | os.PathLike) else tuple(rules)
        self.attributes, known = tuple(attributes), set(attributes)
        self.contradictions = tuple(one for one in every if known.issuperset(one.attributes))
        self.ignored = len(every) - len(self.contradictions)
        column = {name: number for number, name in enumerate(attributes)}
        self._columns = [
            ([column[name] for name in one.present], [column[name] for name in one.absent])
            for one in self.contradictions
        ]
        self._parts = [(part, self._allowed(part, attributes)) for part in self._connected()]

    def found(self, answers: npt.ArrayLike) -> np.ndarray:
        """Finds the contradictions in answers or labels.

        Args:
            answers: `[N, A]`: 1 or True is present, 0 or False absent; -1 is unknown and contradicts nothing.

        Returns:
            Whether each image has each contradiction: bool `[N, contradictions]`.
        """
        answers = np.asarray(answers)
        found = np.zeros((len(answers), len(self._columns)), bool)
        for number, (present, absent) in enumerate(self._columns):
            found[:, number] = (answers[:, present] == 1).all(axis=1) & (answers[:, absent] == 0).all(axis=1)
        return found

    def answers(self, probabilities: npt.ArrayLike, thresholds: npt.ArrayLike = 0.5) -> np.ndarray:
        """Returns the most probable answers without a contradiction.

        Without rules, an attribute is present if its probability is at least its threshold. The probabilities count as
        independent. At a threshold of 50 %, the result is the allowed combination with the highest probability. At
        another threshold, the odds are taken relative to the odds of the threshold, so that the threshold stays the
        probability at which both answers are equally good. Of equally good combinations, the one that changes the
        fewest answers is taken, then the one in which the first attributes are present.

        The result is exact: the attributes that rules connect form parts, and all allowed combinations of a part are
        compared. Answers of images without a contradiction do not change.

        Args:
            probabilities: `[N, A]` in [0, 1].
            thresholds: One value, or `[A]`, in [0, 1].

        Returns:
            bool `[N, A]`.
        """
        p = np.asarray(probabilities, np.float64)
        limits = np.broadcast_to(np.asarray(thresholds, np.float64), p.shape[1:])
        answers = p >= limits
        rows = np.flatnonzero(self.found(answers).any(axis=1))
        costs = np.abs(_log_odds(p[rows]) - _log_odds(limits))  # of the opposite answer
        for part, combinations in self._parts:
            size = max(1, _CELLS // len(combinations))
            for start in range(0, len(rows), size):
                some, cost = rows[start : start + size], costs[start : start + size, part]
                answers[np.ix_(some, part)] = combinations[_best(answers[np.ix_(some, part)], cost, combinations)]
        return answers

    def _connected(self) -> list[list[int]]:
        """Returns the columns of the attributes that contradictions connect, part by part."""
        parts: list[set[int]] = []
        for present, absent in self._columns:
            joined = {*present, *absent}
            apart = [part for part in parts if not part & joined]
            parts = [*apart, joined.union(*(part for part in parts if part & joined))]
        return sorted(sorted(part) for part in parts)

    def _allowed(self, part: list[int], attributes: Sequence[str]) -> np.ndarray:
        """Returns the allowed combinations of the attributes in a part: bool `[combinations, attributes in part]`."""
        combinations = np.zeros((1, 0), bool)
        for column in part:
            # True first, so that the first attributes are present in the first combinations.
            combinations = np.repeat(combinations, 2, axis=0)
            combinations = np.column_stack([combinations, np.arange(len(combinations)) % 2 == 0])
            for present, absent in self._columns:
                involved = [*present, *absent]
                if max(involved) == column:
                    values = combinations[:, [part.index(each) for each in involved]]
                    wanted = np.arange(len(involved)) < len(present)
                    combinations = combinations[(values != wanted).any(axis=1)]
            names = [attributes[each] for each in part]
            if not len(combinations):
                raise FarkerasError(
                    f"The consistency rules allow no answers for {', '.join(names)}. Remove one of the rules."
                )
            if len(combinations) > MAX_COMBINATIONS:
                raise FarkerasError(
                    f"The consistency rules connect {len(part)} attributes ({few(names)}) and "
                    f"allow more than {MAX_COMBINATIONS:,} combinations of them, which are too many to compare. "
                    "Remove rules that connect them."
                )
        return combinations


def _log_odds(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, _CLIP, 1 - _CLIP)
    return np.log(p) - np.log1p(-p)


def _best(answers: np.ndarray, costs: np.ndarray, combinations: np.ndarray) -> np.ndarray:
    """Returns the combination that is best for each image, int64 `[N]`, from the costs of changing its answers."""
    # Attribute by attribute, because the order of a matrix product's sums depends on the number of images.
    total = np.zeros((len(answers), len(combinations)))
    changed = np.zeros(total.shape, np.int32)
    for answer, cost, values in zip(answers.T, costs.T, combinations.T, strict=True):
        differs = answer[:, None] != values
        total += np.where(differs, cost[:, None], 0.0)
        changed += differs
    changed[total > total.min(axis=1, keepdims=True)] = np.iinfo(np.int32).max
    return changed.argmin(axis=1)
