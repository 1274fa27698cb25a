"""The metrics of a training, as Prometheus reads them."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from stream_client.monitoring.learning import Learning
from stream_client.monitoring.prometheus import LearningMetrics, MetricsServer


def test_a_training_is_served_as_it_goes_on() -> None:
    learning = Learning()
    with MetricsServer(LearningMetrics(learning), port=0) as server:
        for number in range(5):
            learning.add_sample(held_out=number == 0)
        learning.evaluated(100, loss=0.25, error=0.1, expected=0.12, mean_pose=0.3, near=0.8)
        with urllib.request.urlopen(server.url, timeout=10) as answer:
            text = answer.read().decode()
    found = {
        (sample.name.removeprefix("stream_client_distill_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("stream_client_distill")
    }
    assert found == {
        ("samples_total", "train"): 4,
        ("samples_total", "held_out"): 1,
        ("steps_total",): 100,
        ("loss",): 0.25,
        ("error_meters", "student"): 0.1,
        ("error_meters", "expected"): 0.12,
        ("error_meters", "mean_pose"): 0.3,
        ("near_ratio",): 0.8,
    }
