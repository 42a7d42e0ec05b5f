"""Counters and histograms in Prometheus' text format, under TF Serving's names."""

import re

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

_PREFIX = ":tensorflow:serving:"
_LATENCY_LIMITS = [float(f"{10 * 1.8**power:g}") for power in range(33)]  # microseconds; six digits as in TF Serving
_SIZE_LIMITS = [2.0**power for power in range(14)]

# prometheus_client adds creation times, and "_total" to the names of counters. TF Serving has neither.
_CREATED = re.compile(r"^(?:# \w+ )?[\w:]+_created[ {].*\n", re.MULTILINE)
_TOTAL = re.compile(r"^((?:# \w+ )?[\w:]+)_total(?=[ {])", re.MULTILINE)


class Metrics:
    """Metrics of one server. Threads may share an instance."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(f"{_PREFIX}request_count", "Requests.", ["model_name", "status"], registry=registry)
        self._latencies = Histogram(
            f"{_PREFIX}request_latency",
            "Microseconds from a request's arrival to its answer.",
            ["model_name", "API", "entrypoint", "status"],
            registry=registry,
            buckets=_LATENCY_LIMITS,
        )
        self._loads = Counter(
            f"{_PREFIX}load_attempt_count", "Attempts to load a version.", ["model_name", "status"], registry=registry
        )
        self._batch_sizes = Histogram(
            f"{_PREFIX}batching_session:processed_batch_size",
            "Rows of merged batches.",
            ["model_name"],
            registry=registry,
            buckets=_SIZE_LIMITS,
        )

    def answered(self, model: str, api: str, entrypoint: str, status: str, seconds: float) -> None:
        """Counts a request.

        Args:
            model: Name of a served model; "" for any other name, so that clients cannot add names without limit.
            api: "Predict", "GetModelStatus" or "GetModelMetadata"; "Demo" for the demo page.
            entrypoint: "GRPC" or "REST".
            status: Name of the status code, such as "OK".
            seconds: Seconds from the request's arrival to its answer.
        """
        self._requests.labels(model, status).inc()
        self._latencies.labels(model, api, entrypoint, status).observe(1e6 * seconds)

    def loaded(self, model: str, ok: bool) -> None:
        """Counts an attempt to load a version."""
        self._loads.labels(model, "success" if ok else "fail").inc()

    def batch(self, model: str, rows: int) -> None:
        """Counts a merged batch."""
        self._batch_sizes.labels(model).observe(rows)

    def text(self) -> bytes:
        """Returns all metrics in the text format, in UTF-8."""
        return _TOTAL.sub(r"\1", _CREATED.sub("", generate_latest(self._registry).decode())).encode()
