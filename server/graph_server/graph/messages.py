"""Message classes of MediaPipe's graph text, from ``protos/mediapipe_graph.proto``.

The build writes the descriptor set of these classes, and their types in ``mediapipe_graph_pb2.pyi``.
"""

from typing import TYPE_CHECKING

from kserve_wire.schema import load_schema

SCHEMA = load_schema("graph_server.graph", "mediapipe_graph.binpb")
PACKAGE = "mediapipe"

if TYPE_CHECKING:
    from graph_server.graph.mediapipe_graph_pb2 import *  # noqa: F403 - every message
else:
    globals().update(SCHEMA.top_level(PACKAGE))
