"""A graph server that the streams of a fleet share, as the settings of a run."""

from collections.abc import Mapping
from pathlib import Path

from stream_client.run_settings import run_transport
from stream_client.transport.servable import KNOWN_GRAPHS
from stream_client.util.settings import Settings


def at_server(settings: Settings, address: str, labels: Mapping[str, Path]) -> Settings:
    """The settings of a run that names no server, for the one at ``address``.

    ``labels``: the server's files of label names, by servable. A run that names no servable takes the usual graph.
    """
    model = run_transport(settings).model_name or KNOWN_GRAPHS[0]
    named: Settings = {"labels": str(labels[model])} if model in labels else {}
    return {**named, **settings, "grpc_address": address, "model_name": model}
