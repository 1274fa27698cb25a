"""Compile the wire contract: each .proto becomes a descriptor set and type stubs inside the package that loads it.

A descriptor set is plain data, read into a descriptor pool of its own, so that the installed protobuf need not match
the protobuf of the build, and no other package's `inference.*` messages can clash. The stubs are for type checkers and
editors only.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGETS = {
    "kserve_v2.proto": "wire/kserve_wire",
    "mediapipe_graph.proto": "server/graph_server/graph",
    "tensorflow_serving.proto": "server/graph_server/service/tfs",
}


class ProtocHook(BuildHookInterface):  # type: ignore[misc,type-arg,unused-ignore]
    """Runs protoc before a wheel or an editable install is made."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write NAME.binpb and NAME_pb2.pyi beside the module that loads them."""
        root = Path(self.root)
        well_known = str(files("grpc_tools") / "_proto")
        for proto, folder in TARGETS.items():
            arguments = [
                "protoc",
                f"--proto_path={root / 'protos'}",
                f"--proto_path={well_known}",
                "--include_imports",
                f"--descriptor_set_out={root / folder / Path(proto).with_suffix('.binpb').name}",
                f"--pyi_out={root / folder}",
                proto,
            ]
            if protoc.main(arguments) != 0:
                raise RuntimeError(f"protoc could not compile protos/{proto}")
