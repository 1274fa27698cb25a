"""MediaPipe's messages that the text of a graph consists of: those of ``protos/mediapipe_graph.proto``.

The build generates their types, ``mediapipe_graph_pb2.pyi``, beside the descriptor set that the classes are made of.
"""

from typing import TYPE_CHECKING

from kserve_wire.schema import load_schema

SCHEMA = load_schema("graph_server.graph", "mediapipe_graph.binpb")
PACKAGE = "mediapipe"

if TYPE_CHECKING:
    from graph_server.graph.mediapipe_graph_pb2 import *  # noqa: F403 - every message
else:
    globals().update(SCHEMA.top_level(PACKAGE))
