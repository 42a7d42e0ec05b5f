"""Counters and histograms in Prometheus' text format, under TF Serving's names."""

import threading
from bisect import bisect_left
from functools import cache

_LATENCY_LIMITS = tuple(10 * 1.8**power for power in range(33))
_SIZE_LIMITS = tuple(float(2**power) for power in range(14))

_PREFIX = ":tensorflow:serving:"


class Metrics:
    """What a server counts; may be used by many threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._counters: dict[tuple[str, str], int] = {}
        self._histograms: dict[tuple[str, str], _Histogram] = {}

    def answered(self, model: str, api: str, entrypoint: str, status: str, seconds: float) -> None:
        """Counts a request.

        Args:
            model: Name of a model that is served; "" for any other, so that callers cannot add names without end.
            api: "Predict", "GetModelStatus" or "GetModelMetadata".
            entrypoint: "GRPC" or "REST".
            status: Name of the code, "OK" or an error's.
            seconds: From the request's arrival to its answer.
        """
        self._count("request_count", _labels(model_name=model, status=status))
        labels = _labels(model_name=model, API=api, entrypoint=entrypoint, status=status)
        self._observe("request_latency", labels, _LATENCY_LIMITS, 1e6 * seconds)

    def loaded(self, model: str, ok: bool) -> None:
        """Counts an attempt to load a version."""
        self._count("load_attempt_count", _labels(model_name=model, status="success" if ok else "fail"))

    def batch(self, model: str, rows: int) -> None:
        """Counts a merged batch."""
        self._observe("batching_session:processed_batch_size", _labels(model_name=model), _SIZE_LIMITS, rows)

    def text(self) -> str:
        """All of it, as Prometheus reads it."""
        with self._lock:
            lines, typed = [], set()
            for (name, labels), count in sorted(self._counters.items()):
                lines += _type_line(name, "counter", typed)
                lines.append(f"{_PREFIX}{name}{{{labels}}} {count}")
            for (name, labels), histogram in sorted(self._histograms.items()):
                lines += _type_line(name, "histogram", typed)
                lines += histogram.lines(f"{_PREFIX}{name}", labels)
        return "\n".join(lines) + "\n"

    def _count(self, name: str, labels: str) -> None:
        with self._lock:
            self._counters[name, labels] = self._counters.get((name, labels), 0) + 1

    def _observe(self, name: str, labels: str, limits: tuple[float, ...], value: float) -> None:
        with self._lock:
            if (name, labels) not in self._histograms:
                self._histograms[name, labels] = _Histogram(limits)
            self._histograms[name, labels].add(value)


class _Histogram:
    def __init__(self, limits: tuple[float, ...]):
        self.limits, self.counts, self.sum = limits, [0] * (len(limits) + 1), 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.limits, value)] += 1
        self.sum += value

    def lines(self, name: str, labels: str) -> list[str]:
        lines, total = [], 0
        for limit, count in zip([*(f"{limit:g}" for limit in self.limits), "+Inf"], self.counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{labels},le="{limit}"}} {total}')
        return [*lines, f"{name}_sum{{{labels}}} {self.sum:g}", f"{name}_count{{{labels}}} {total}"]


def _type_line(name: str, kind: str, typed: set[str]) -> list[str]:
    if name in typed:
        return []
    typed.add(name)
    return [f"# TYPE {_PREFIX}{name} {kind}"]


@cache  # as many as there are models, methods and codes
def _labels(**labels: str) -> str:
    escaped = ((name, value.replace("\\", "\\\\").replace('"', '\\"')) for name, value in labels.items())
    return ",".join(f'{name}="{value}"' for name, value in escaped)
