"""The metrics of graphs and models in OVMS's series. The service reports only through these classes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Literal

from graph_server.metrics.registry import LATENCY, MetricsConfig, Registry

Interface = Literal["gRPC", "REST"]
Method = Literal["ModelInfer", "ModelInferStream", "ModelReady", "ModelMetadata"]

_GRAPH_CALLS: tuple[tuple[str, Interface, str], ...] = (
    ("KServe", "gRPC", "ModelInfer"),
    ("KServe", "gRPC", "ModelInferStream"),
    ("KServe", "REST", "ModelInfer"),
    # OVMS has the series of its generative endpoints for every graph. They stay 0 here.
    ("V3", "REST", "Unary"),
    ("V3", "REST", "Stream"),
)
_INTERFACES: tuple[Interface, ...] = ("gRPC", "REST")
_COUNTED = ("ovms_requests_accepted", "ovms_requests_rejected", "ovms_graph_error", "ovms_responses")


class GraphCall:
    """One call of a graph, unary or streaming. Enter it when the graph exists, and leave it at the end of the call."""

    def __init__(self, registry: Registry, name: str, interface: Interface, method: Method) -> None:
        self._accepted, self._rejected, self._errors, self._responses = (
            registry.number(family, name=name, api="KServe", interface=interface, method=method) for family in _COUNTED
        )
        self._current = registry.number("ovms_current_graphs", name=name)
        self._processing = registry.histogram("ovms_graph_processing_time_us", name=name, method=method)
        self._latency = registry.histogram(LATENCY, name=name, method=method)
        self._begun = time.perf_counter()

    def __enter__(self) -> "GraphCall":
        self._current.add()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._current.add(-1)

    def accepted(self) -> None:
        """The packets of a request are in the graph."""
        self._accepted.add()

    def rejected(self) -> None:
        """A request could not be converted to packets."""
        self._rejected.add()

    def failed(self) -> None:
        """The graph is in error."""
        self._errors.add()

    def responded(self, timestamp: int | None = None) -> None:
        """A response was sent. ``timestamp``, in µs, is that of the packet of a streaming response."""
        self._responses.add()
        if timestamp is not None:
            self._latency.observe(time.time_ns() // 1000 - timestamp)

    def completed(self) -> None:
        """The call ended without an error."""
        self._processing.observe((time.perf_counter() - self._begun) * 1e6)


class ModelMetrics:
    """The metrics of one version of a model."""

    def __init__(self, registry: Registry, name: str, version: int) -> None:
        labels = {"name": name, "version": str(version)}
        self.served = registry.config.enabled
        """Whether the metrics are served."""
        self._inference = registry.histogram("ovms_inference_time_us", **labels)
        self._waiting = registry.histogram("ovms_wait_for_infer_req_time_us", **labels)
        self.streams = registry.number("ovms_streams", **labels)
        """The number of OpenVINO's execution streams."""
        self.requests = registry.number("ovms_infer_req_queue_size", **labels)
        """The number of infer requests."""
        self._active = registry.number("ovms_infer_req_active", **labels)
        self._current = registry.number("ovms_current_requests", **labels)
        self._times = {
            interface: registry.histogram("ovms_request_time_us", interface=interface, **labels)
            for interface in _INTERFACES
        }
        _request_series(registry, name, version)

    @contextmanager
    def inferring(self, waited: float = 0.0) -> Iterator[None]:
        """Measure one inference. It waited ``waited`` seconds for its infer request."""
        self._waiting.observe(waited * 1e6)
        self._current.add()
        self._active.add()
        begun = time.perf_counter()
        try:
            yield
            self._inference.observe((time.perf_counter() - begun) * 1e6)
        finally:
            self._active.add(-1)
            self._current.add(-1)

    def answered(self, interface: Interface, seconds: float) -> None:
        """A request directly to the model was answered after ``seconds``."""
        self._times[interface].observe(seconds * 1e6)


class ServableMetrics:
    """The metrics of all servables. As in OVMS the series exist after loading. Each call finds them by name."""

    def __init__(self, registry: Registry | None = None) -> None:
        self.registry = registry or Registry(MetricsConfig())

    def add_graph(self, name: str) -> None:
        """Make every series of a graph, with the value 0."""
        for api, interface, method in _GRAPH_CALLS:
            for family in _COUNTED:
                self.registry.number(family, name=name, api=api, interface=interface, method=method)
            self.registry.histogram("ovms_graph_processing_time_us", name=name, method=method)
            if method in ("ModelInferStream", "Stream"):
                self.registry.histogram(LATENCY, name=name, method=method)
        self.registry.number("ovms_current_graphs", name=name)
        _request_series(self.registry, name, None)

    def graph_loaded(self, name: str, loaded: bool) -> None:
        """Whether a graph is loaded, or could not be, or is unloaded because it is idle."""
        self.registry.number("ovms_graph_loaded", name=name).set(loaded)

    def graph_call(self, name: str, interface: Interface, method: Method) -> GraphCall:
        """The metrics of one call of a graph."""
        return GraphCall(self.registry, name, interface, method)

    def model(self, name: str, version: int) -> ModelMetrics:
        """The metrics of one version of a model."""
        return ModelMetrics(self.registry, name, version)

    def request(self, succeeded: bool, name: str, version: int | None, interface: Interface, method: Method) -> None:
        """Count a request to a model. ``version`` is ``None`` for a metadata or ready request to a graph."""
        family = "ovms_requests_success" if succeeded else "ovms_requests_fail"
        self.registry.number(family, **_request_labels(name, version, interface, method)).add()


def _request_labels(name: str, version: int | None, interface: str, method: str) -> dict[str, str]:
    labels = {"name": name, "api": "KServe", "interface": interface, "method": method}
    if version is not None and method != "ModelReady":
        labels["version"] = str(version)
    return labels


def _request_series(registry: Registry, name: str, version: int | None) -> None:
    methods = ("ModelMetadata", "ModelReady") if version is None else ("ModelInfer", "ModelMetadata", "ModelReady")
    for family in ("ovms_requests_success", "ovms_requests_fail"):
        for interface in _INTERFACES:
            for method in methods:
                registry.number(family, **_request_labels(name, version, interface, method))
