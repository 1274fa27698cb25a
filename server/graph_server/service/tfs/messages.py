"""Message classes of ``protos/tensorflow_serving.proto``, by their names there; the build writes their types."""

from typing import TYPE_CHECKING

from kserve_wire.schema import load_schema

PACKAGE = "tensorflow.serving"

if TYPE_CHECKING:
    from graph_server.service.tfs.tensorflow_serving_pb2 import *  # noqa: F403 - every message
else:
    globals().update(load_schema("graph_server.service.tfs", "tensorflow_serving.binpb").top_level(PACKAGE))
