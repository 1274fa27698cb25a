"""A training as families of Prometheus metrics. docs/how-to/distill.md lists them."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stream_client.monitoring.learning import Learning

_PREFIX = "stream_client_distill"


class LearningMetrics(Collector):
    """Renders a training when it is asked. ``registry`` holds it."""

    def __init__(self, learning: Learning) -> None:
        self._learning = learning
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def collect(self) -> Iterator[Metric]:
        """Every metric; those of evaluations are NaN before the first one."""
        now = self._learning.snapshot()
        samples = CounterMetricFamily(f"{_PREFIX}_samples", "Samples that the teacher labeled.", labels=("use",))
        samples.add_metric(["train"], now.samples)
        samples.add_metric(["held_out"], now.held_out)
        yield samples
        yield CounterMetricFamily(f"{_PREFIX}_steps", "Steps of the training at its last evaluation.", now.steps)
        yield GaugeMetricFamily(f"{_PREFIX}_loss", "Mean loss between the last two evaluations.", now.loss)
        errors = GaugeMetricFamily(
            f"{_PREFIX}_error_meters", "Mean distance of held-out joints to the teacher's.", labels=("of",)
        )
        for of, value in (("student", now.error), ("expected", now.expected), ("mean_pose", now.mean_pose)):
            errors.add_metric([of], value)
        yield errors
        yield GaugeMetricFamily(f"{_PREFIX}_near_ratio", "Share of held-out joints within 150 mm.", now.near)
