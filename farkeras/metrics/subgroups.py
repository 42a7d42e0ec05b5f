"""How well a model does for each subgroup of the images, and the gaps between subgroups, with NumPy only.

A gap is the largest rate of the subgroups of one name minus the smallest. Its standard error comes from a bootstrap
that resamples people, or images where nobody says who is in them. Many attributes, names and rates make many gaps, of
which the largest are large by chance alone. So a gap is `clear` only if its interval excludes 0 after it is widened so
that all intervals hold at the same time with a probability of 95 %. The factor is the 95 % quantile, over resamples,
of the largest deviation of any difference between two subgroups, in standard errors (max-t, as Westfall and Young,
1993).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from farkeras.data.examples import UNKNOWN
from farkeras.data.subgroups import Subgroups as Subgroups

RATES = ("accuracy", "balanced_accuracy", "false_positive_rate", "false_negative_rate")
SMALL = 30
"""A rate over fewer labels is marked as small, and no gap is computed from it (our choice)."""

RESAMPLES = 1000
_BLOCK = 100  # resamples at a time, which bounds the memory
_Z95 = 1.959963984540054


def evaluate_subgroups(
    labels: np.ndarray,
    probabilities: np.ndarray,
    attributes: Sequence[str],
    subgroups: Mapping[str, Subgroups],
    people: np.ndarray | None = None,
    thresholds: float | np.ndarray = 0.5,
) -> dict:
    """Computes accuracy, balanced accuracy and error rates for each attribute and subgroup, and the gaps between them.

    Unknown labels are ignored, and so are images whose subgroup is unknown. The attribute that defines the subgroups is
    left out of its own subgroups.

    Args:
        labels: `int8` array `[N, A]`: 1 is positive, 0 negative, -1 unknown.
        probabilities: `float` array `[N, A]` in [0, 1].
        attributes: The `A` attributes, in the order of the columns.
        subgroups: Name -> its subgroups of the `N` images.
        people: `str` array `[N]`: the person in each image, "" for an image whose person is unknown; None if nothing is
            known of the people.
        thresholds: An attribute is predicted as present if its probability is at least this value: one value, or one
            for each attribute, `[A]`.

    Returns:
        A dict that can be written as JSON:

        - `thresholds`: attribute -> threshold;
        - `resampled`: "people" or "images", `num_people` (None for images), `resamples` and `small`, the value `SMALL`;
        - `num_gaps`, `num_clear` and `factor`: the number of gaps, the number of clear ones, and the factor of standard
          errors by which the widened intervals reach (None without gaps);
        - `gaps`: the gaps, the largest first: `subgroups` (the name), `attribute`, `rate` (one of `RATES`), `gap`,
          `ci95` (the interval of this gap alone; below 0 means that the order of the two subgroups is open), `highest`
          and `lowest` (the two subgroups) and `clear`;
        - `names`: name -> `origin`, `num_unknown` (images), `mean_gaps` (rate -> gap of the means over attributes, with
          `num_attributes`, or None) and `subgroups`: subgroup -> `num_images` and `attributes`: attribute ->
          `num_known`, `positives`, `negatives`, the `RATES` (None if undefined), and `small`, those of them that
          fewer than `SMALL` labels define.
    """
    outcomes = _outcomes(labels, probabilities >= thresholds)
    units, number_of_units = _units(people, len(labels))
    rows = {
        name: [np.flatnonzero(each.member == s) for s in range(len(each.values))] for name, each in subgroups.items()
    }
    counts = {name: np.stack([outcomes[part].sum(axis=0) for part in rows[name]]) for name in rows}
    resampled: dict[str, list[np.ndarray]] = {name: [] for name in rows}
    for weights in _resamples(units, number_of_units):
        for name, parts in rows.items():
            drawn = [weights[:, part] @ outcomes[part].reshape(len(part), -1) for part in parts]
            resampled[name].append(_rates(np.stack(drawn, axis=1).reshape(len(weights), *counts[name].shape)))

    names, pairs = {}, []
    for name, each in subgroups.items():
        usable = _denominators(counts[name]) >= SMALL
        usable[:, :, [a for a, attribute in enumerate(attributes) if attribute == name]] = False
        compared = _Compared(name, each.values, counts[name], usable, np.concatenate(resampled[name]))
        pairs.append(compared)
        names[name] = {
            "origin": each.origin,
            "num_unknown": int((each.member == UNKNOWN).sum()),
            "mean_gaps": compared.mean_gaps(),
            "subgroups": {
                value: {"num_images": len(rows[name][s]), "attributes": _cells(counts[name][s], attributes, name)}
                for s, value in enumerate(each.values)
            },
        }
    largest = np.max([np.zeros(RESAMPLES), *(compared.largest_deviations() for compared in pairs)], axis=0)
    factor = max(_Z95, float(np.quantile(largest, 0.95)))
    gaps = [gap for compared in pairs for gap in compared.gaps(attributes, factor)]
    gaps.sort(key=lambda gap: -gap["gap"])
    return {
        "thresholds": dict(zip(attributes, np.broadcast_to(thresholds, len(attributes)).tolist(), strict=True)),
        "resampled": "images" if people is None else "people",
        "num_people": None if people is None else number_of_units,
        "resamples": RESAMPLES,
        "small": SMALL,
        "num_gaps": len(gaps),
        "num_clear": sum(gap["clear"] for gap in gaps),
        "factor": factor if gaps else None,
        "gaps": gaps,
        "names": names,
    }


class _Compared:
    """The differences between the subgroups of one name.

    Args:
        name: The name.
        values: The `S` subgroups.
        counts: `[S, 4, A]`, see `_outcomes`.
        usable: bool `[S, rates, A]`: whether enough labels define the rate.
        resampled: `[resamples, S, rates, A]`, the rates in each resample.
    """

    def __init__(
        self, name: str, values: Sequence[str], counts: np.ndarray, usable: np.ndarray, resampled: np.ndarray
    ) -> None:
        self.name, self.values, self.usable, self.resampled = name, values, usable, resampled
        self.rates, self._floor = _rates(counts), _least_variance(counts)

    def gaps(self, attributes: Sequence[str], factor: float) -> Iterator[dict]:
        """Yields the gap of each rate and attribute that enough labels define in two subgroups."""
        rates = np.where(self.usable, self.rates, np.nan)
        for r, a in np.argwhere(self.usable.sum(axis=0) > 1):
            high, low = int(np.nanargmax(rates[:, r, a])), int(np.nanargmin(rates[:, r, a]))
            if high == low:  # all are equal
                high, low = np.flatnonzero(self.usable[:, r, a])[:2].tolist()
            gap, error = float(rates[high, r, a] - rates[low, r, a]), float(self._error(high, low)[r, a])
            yield {
                "subgroups": self.name,
                "attribute": attributes[a],
                "rate": RATES[r],
                "gap": gap,
                "ci95": _interval(gap, error),
                "highest": self.values[high],
                "lowest": self.values[low],
                "clear": gap > factor * error,
            }

    def largest_deviations(self) -> np.ndarray:
        """Returns the largest deviation of any difference, in standard errors, in each resample: `[resamples]`."""
        largest = np.zeros(len(self.resampled))
        for one, other in combinations(range(len(self.values)), 2):
            both = self.usable[one] & self.usable[other]
            if both.any():
                drawn = (self.resampled[:, one] - self.resampled[:, other])[:, both]
                expected = (self.rates[one] - self.rates[other])[both]
                deviations = np.abs(drawn - expected) / self._error(one, other)[both]
                largest = np.fmax(largest, np.nanmax(deviations, axis=1))
        return largest

    def mean_gaps(self) -> dict[str, dict | None]:
        """Returns the gap of the mean over attributes for each rate, among subgroups of at least `SMALL` images.

        The means are over the attributes whose rate enough labels define in each of these subgroups.
        """
        found: dict[str, dict | None] = {}
        for r, rate in enumerate(RATES):
            large = np.flatnonzero(self.usable[:, 0].any(axis=1))
            common = self.usable[large, r].all(axis=0)
            if len(large) < 2 or not common.any():
                found[rate] = None
                continue
            means = self.rates[large, r][:, common].mean(axis=1)
            drawn = self.resampled[:, large, r][:, :, common].mean(axis=2)
            high, low = (int(means.argmax()), int(means.argmin())) if np.ptp(means) else (0, 1)
            gap = float(means[high] - means[low])
            found[rate] = {
                "gap": gap,
                "ci95": _interval(gap, float(np.nanstd(drawn[:, high] - drawn[:, low]))),
                "highest": self.values[large[high]],
                "lowest": self.values[large[low]],
                "num_attributes": int(common.sum()),
                "means": {self.values[s]: float(mean) for s, mean in zip(large.tolist(), means, strict=True)},
            }
        return found

    def _error(self, one: int, other: int) -> np.ndarray:
        """Returns the standard error of the difference between two subgroups, `[rates, A]`."""
        drawn = self.resampled[:, one] - self.resampled[:, other]
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.fmax(np.var(drawn, axis=0), self._floor[one] + self._floor[other]))


def _outcomes(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Returns which outcome each answer is, float32 `[N, 4, A]` of 0 and 1.

    The outcomes are true positive, false negative, true negative and false positive. An unknown label has none.
    """
    positive, negative = labels == 1, labels == 0
    outcomes = (positive & predicted, positive & ~predicted, negative & ~predicted, negative & predicted)
    return np.stack(outcomes, axis=1).astype(np.float32)  # products of matrices are fastest, and counts exact


def _denominators(counts: np.ndarray) -> np.ndarray:
    """Returns the numbers of labels that define the `RATES`, `[..., 4, A]`, from counts `[..., 4, A]`."""
    positives, negatives = counts[..., 0, :] + counts[..., 1, :], counts[..., 2, :] + counts[..., 3, :]
    return np.stack([positives + negatives, np.minimum(positives, negatives), negatives, positives], axis=-2)


def _rates(counts: np.ndarray) -> np.ndarray:
    """Returns the `RATES`, float64 `[..., 4, A]`, from counts `[..., 4, A]`; NaN where one is undefined."""
    hits, misses, rejections, alarms = np.moveaxis(counts.astype(np.float64), -2, 0)
    with np.errstate(invalid="ignore"):
        accuracy = (hits + rejections) / (hits + misses + rejections + alarms)
        false_positive, false_negative = alarms / (rejections + alarms), misses / (hits + misses)
    return np.stack([accuracy, 1 - (false_positive + false_negative) / 2, false_positive, false_negative], axis=-2)


def _least_variance(counts: np.ndarray) -> np.ndarray:
    """Returns the least variance that we assume for each rate, `[..., 4, A]`.

    A bootstrap finds no variance in a subgroup without errors. The variance of a binomial share with one more error and
    one more correct answer does not vanish (Agresti and Caffo, 2000).
    """
    hits, misses, rejections, alarms = np.moveaxis(counts.astype(np.float64), -2, 0)

    def variance(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        share = (part + 1) / (whole + 2)
        return share * (1 - share) / (whole + 2)

    positive, negative = variance(alarms, rejections + alarms), variance(misses, hits + misses)
    overall = variance(misses + alarms, counts.sum(axis=-2))
    return np.stack([overall, (positive + negative) / 4, positive, negative], axis=-2)


def _units(people: np.ndarray | None, images: int) -> tuple[np.ndarray, int]:
    """Returns the number of each image's resampled unit, `[N]`, and the number of units: people, or single images."""
    if people is None:
        return np.arange(images), images
    alone = np.flatnonzero(people == "")
    known, units = np.unique(people, return_inverse=True)
    units[alone] = len(known) + np.arange(len(alone))
    found, units = np.unique(units, return_inverse=True)
    return units, len(found)


def _resamples(units: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """Yields how often each image is in each resample, float32 `[_BLOCK, N]`."""
    random = np.random.default_rng(0)
    for _ in range(RESAMPLES // _BLOCK):
        drawn = [np.bincount(random.integers(count, size=count), minlength=count) for _ in range(_BLOCK)]
        yield np.stack(drawn).astype(np.float32)[:, units]


def _interval(gap: float, error: float) -> list[float]:
    return [max(-1.0, gap - _Z95 * error), min(1.0, gap + _Z95 * error)]


def _cells(counts: np.ndarray, attributes: Sequence[str], name: str) -> dict[str, dict]:
    """Returns the figures of one subgroup, by attribute, from counts `[4, A]`."""
    cells = {}
    for a, attribute in enumerate(attributes):
        if attribute == name:
            continue
        known, _, negatives, positives = denominators = _denominators(counts[:, a : a + 1])[:, 0]
        rates = _rates(counts[:, a : a + 1])[:, 0]
        cells[attribute] = {
            "num_known": int(known),
            "positives": int(positives),
            "negatives": int(negatives),
            **{rate: None if np.isnan(value) else float(value) for rate, value in zip(RATES, rates, strict=True)},
            "small": [rate for rate, number in zip(RATES, denominators, strict=True) if number < SMALL],
        }
    return cells
