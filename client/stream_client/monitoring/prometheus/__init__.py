"""Runs as Prometheus metrics. Only here is prometheus_client imported."""

from stream_client.monitoring.prometheus.export import MetricsServer, Monitor, Pushgateway
from stream_client.monitoring.prometheus.families import Metrics
from stream_client.monitoring.prometheus.learning import LearningMetrics

__all__ = ["LearningMetrics", "Metrics", "MetricsServer", "Monitor", "Pushgateway"]
