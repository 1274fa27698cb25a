"""Compile the wire contract: each .proto becomes a descriptor set inside the package that loads it.

A descriptor set is plain data, read into a descriptor pool of its own, so that the installed protobuf
need not match the protobuf of the build, and no other package's `inference.*` messages can clash.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGETS = {
    "kserve_v2.proto": ["client/stream_client/transport", "server/graph_server/service"],
    "mediapipe_graph.proto": ["server/graph_server/graph"],
}


class DescriptorSetHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs protoc before a wheel or an editable install is made."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write NAME.binpb beside the module that loads it."""
        root = Path(self.root)
        well_known = str(files("grpc_tools") / "_proto")
        for proto, folders in TARGETS.items():
            for folder in folders:
                target = root / folder / Path(proto).with_suffix(".binpb").name
                arguments = [
                    "protoc",
                    f"--proto_path={root / 'protos'}",
                    f"--proto_path={well_known}",
                    "--include_imports",
                    f"--descriptor_set_out={target}",
                    proto,
                ]
                if protoc.main(arguments) != 0:
                    raise RuntimeError(f"protoc could not compile protos/{proto}")
