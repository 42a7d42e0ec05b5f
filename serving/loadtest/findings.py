"""Findings of the soak test, and their report."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Findings:
    """Findings of the soak test.

    Attributes:
        good: Number of answers to good requests, by code; "WRONG" counts answers without the version's probabilities.
        hostile: Number of answers to each hostile request, by the name of the request and by the answer.
        improper: Hostile requests that did not receive a proper answer.
        swaps: Number of versions published during the load.
        versions: Versions that answered.
        latencies: Seconds until each answer to a good request.
        memory: Resident memory of the server in MiB, in the order of time.
        notes: Further measurements.
        failures: Checks that failed; empty if all passed.
    """

    good: Counter[str] = field(default_factory=Counter)
    hostile: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    improper: list[str] = field(default_factory=list)
    swaps: int = 0
    versions: set[int] = field(default_factory=set)
    latencies: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def quarters_of_memory(self) -> list[float]:
        """Returns the mean memory of each quarter of the time, in MiB."""
        return [float(np.mean(part)) for part in np.array_split(self.memory, 4)]

    def require(self, holds: bool, what: str) -> None:
        """Records the failure `what` unless the check holds."""
        if not holds:
            self.failures.append(what)

    def lines(self) -> Iterator[str]:
        """Yields the lines of the report: the measurements, then the failures."""
        p50, p99 = (1e3 * np.percentile(self.latencies or [np.nan], percentile) for percentile in (50, 99))
        yield f"Good requests: {_codes(self.good)}; p50 {p50:.0f} ms, p99 {p99:.0f} ms"
        yield f"Hot swaps: {self.swaps} versions published, {len(self.versions)} answered"
        yield f"Hostile requests: {sum(sum(codes.values()) for codes in self.hostile.values())}"
        for name, codes in self.hostile.items():
            yield f"  {name}: {_codes(codes)}"
        means = ", ".join(f"{mean:.0f}" for mean in self.quarters_of_memory())
        yield f"Memory of the server in MiB, mean of each quarter: {means}; maximum: {max(self.memory):.0f}"
        yield from self.notes
        yield from (f"FAILED: {failure}" for failure in self.failures)
        if not self.failures:
            yield "All checks passed."


def _codes(counter: Counter[str]) -> str:
    return ", ".join(f"{count:,} {code}" for code, count in sorted(counter.items()))
