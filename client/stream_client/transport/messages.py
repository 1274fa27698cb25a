"""KServe v2's message classes, from a descriptor pool of our own.

No generated code has to match the installed protobuf, and other packages that register the same
``inference.*`` names in protobuf's default pool do not clash.
"""

from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from stream_client.errors import ConfigurationError


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    resource = files("stream_client.transport") / "kserve_v2.binpb"
    try:
        data = resource.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            "the compiled wire contract (kserve_v2.binpb) is missing: install the package, "
            "for instance with `pip install -e .` in the project's root"
        ) from error
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.Add(file)  # type: ignore[no-untyped-call,unused-ignore]
    return pool


@cache
def message_class(name: str) -> Any:
    """The class of ``inference.<name>``."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"inference.{name}"))
