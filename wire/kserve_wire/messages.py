"""KServe v2's message classes: those of ``protos/kserve_v2.proto``, by their names there.

The build generates their types, ``kserve_v2_pb2.pyi``, beside the descriptor set that the classes are made of.
"""

from typing import TYPE_CHECKING

from kserve_wire.schema import load_schema

if TYPE_CHECKING:
    from kserve_wire.kserve_v2_pb2 import *  # noqa: F403 - every message
else:
    globals().update(load_schema("kserve_wire", "kserve_v2.binpb").top_level("inference"))
