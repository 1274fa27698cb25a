"""``/metrics``: of all streams, for Prometheus."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from stream_client.monitoring.prometheus.families import Metrics
from stream_client.web.state import State


def router(state: State) -> APIRouter:
    """The route."""
    made = APIRouter(tags=["metrics"])

    @made.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def metrics() -> Response:
        """The metrics of docs/how-to/metrics.md; the label `stream` is the id and the name of a stream."""
        runs = [stream.run.statistics for stream in state.streams.all()]
        return Response(generate_latest(Metrics(runs).registry), media_type=CONTENT_TYPE_LATEST)

    return made
