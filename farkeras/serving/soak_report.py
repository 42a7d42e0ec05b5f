"""What a soak found, in lines."""

from collections.abc import Iterator

import numpy as np

from farkeras.serving.soak import Findings


def lines(findings: Findings) -> Iterator[str]:
    """The figures, then what failed."""
    p50, p99 = (1e3 * np.percentile(findings.latencies or [np.nan], percentile) for percentile in (50, 99))
    yield f"Good requests: {_codes(findings.good)}; p50 {p50:.0f} ms, p99 {p99:.0f} ms"
    yield f"Hot swaps: {findings.swaps} versions published, {len(findings.versions)} answered"
    yield f"Hostile requests: {sum(sum(codes.values()) for codes in findings.hostile.values())}"
    for name, codes in findings.hostile.items():
        yield f"  {name}: {_codes(codes)}"
    means = ", ".join(f"{mean:.0f}" for mean in findings.quarters_of_memory())
    yield f"Memory of the server in MiB, mean of each quarter: {means}; most: {max(findings.memory):.0f}"
    yield from findings.notes
    yield from (f"FAILED: {failure}" for failure in findings.failures)
    if not findings.failures:
        yield "All held."


def _codes(counter) -> str:
    return ", ".join(f"{count:,} {code}" for code, count in sorted(counter.items()))
