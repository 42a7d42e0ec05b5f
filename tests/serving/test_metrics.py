"""Metrics as Prometheus reads them."""

from farkeras.serving.metrics import Metrics


def test_text():
    metrics, other = Metrics(), Metrics()
    other.answered("faces", "Predict", "GRPC", "OK", 1.0)
    for seconds in (5e-6, 0.001, 1e9):
        metrics.answered("faces", "Predict", "GRPC", "OK", seconds)
    metrics.answered('odd"\\', "Predict", "REST", "NOT_FOUND", 0.1)
    metrics.loaded("faces_total", ok=True)
    metrics.batch("faces", 3)
    lines = metrics.text().decode().splitlines()
    assert ':tensorflow:serving:request_count{model_name="faces",status="OK"} 3.0' in lines, "those of one server"
    assert r':tensorflow:serving:request_count{model_name="odd\"\\",status="NOT_FOUND"} 1.0' in lines
    assert ':tensorflow:serving:load_attempt_count{model_name="faces_total",status="success"} 1.0' in lines
    latency = [
        line.removeprefix(":tensorflow:serving:request_latency_bucket").split()
        for line in lines
        if line.startswith(":tensorflow:serving:request_latency_bucket") and 'model_name="faces"' in line
    ]
    assert '{API="Predict",entrypoint="GRPC",le="188.957",model_name="faces",status="OK"}' in dict(latency)
    counts = [float(count) for _, count in latency]
    assert (counts[0], counts[-2:], len(counts)) == (1, [2, 3], 34), "cumulative; the last one has no limit"
    assert lines.count("# TYPE :tensorflow:serving:request_count counter") == 1
    assert lines.count("# TYPE :tensorflow:serving:request_latency histogram") == 1
    assert ':tensorflow:serving:batching_session:processed_batch_size_bucket{le="4.0",model_name="faces"} 1.0' in lines
    assert ':tensorflow:serving:batching_session:processed_batch_size_bucket{le="2.0",model_name="faces"} 0.0' in lines


def test_names_are_those_of_tf_serving():
    metrics = Metrics()
    metrics.answered("faces", "Predict", "GRPC", "OK", 1.0)
    metrics.loaded("faces", ok=False)
    metrics.batch("faces", 3)
    samples = [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    histograms = "request_latency", "batching_session:processed_batch_size"
    names = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    expected = {f":tensorflow:serving:{name}" for name in {"request_count", "load_attempt_count", *names}}
    assert {sample.partition("{")[0] for sample in samples} == expected
