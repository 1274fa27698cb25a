"""The message classes of KServe v2, from ``protos/kserve_v2.proto``.

The build writes the descriptor set of these classes, and their types in ``kserve_v2_pb2.pyi``.
"""

from typing import TYPE_CHECKING

from kserve_wire.schema import load_schema

if TYPE_CHECKING:
    from kserve_wire.kserve_v2_pb2 import *  # noqa: F403 - every message
else:
    globals().update(load_schema("kserve_wire", "kserve_v2.binpb").top_level("inference"))
