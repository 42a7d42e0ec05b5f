"""Metrics as Prometheus reads them."""

from farkeras.serving.metrics import Metrics


def test_text():
    metrics = Metrics()
    for seconds in (5e-6, 0.001, 1e9):
        metrics.answered("faces", "Predict", "GRPC", "OK", seconds)
    metrics.answered('odd"\\', "Predict", "REST", "NOT_FOUND", 0.1)
    metrics.loaded("faces", ok=True)
    metrics.batch("faces", 3)
    lines = metrics.text().splitlines()
    assert ':tensorflow:serving:request_count{model_name="faces",status="OK"} 3' in lines
    assert r':tensorflow:serving:request_count{model_name="odd\"\\",status="NOT_FOUND"} 1' in lines
    assert ':tensorflow:serving:load_attempt_count{model_name="faces",status="success"} 1' in lines
    latency = (
        ':tensorflow:serving:request_latency_bucket{model_name="faces",API="Predict",entrypoint="GRPC",status="OK",'
    )
    buckets = [int(line.split()[-1]) for line in lines if line.startswith(latency)]
    assert (buckets[0], buckets[-2:], len(buckets)) == (1, [2, 3], 34), "cumulative; the last one has no limit"
    assert lines.count("# TYPE :tensorflow:serving:request_latency histogram") == 1
    assert ':tensorflow:serving:batching_session:processed_batch_size_bucket{model_name="faces",le="4"} 1' in lines
    assert ':tensorflow:serving:batching_session:processed_batch_size_bucket{model_name="faces",le="2"} 0' in lines


def test_no_metrics_yet():
    assert Metrics().text() == "\n"
