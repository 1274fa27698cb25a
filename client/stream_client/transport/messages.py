"""KServe v2's message classes, from a descriptor pool of our own.

No generated code has to match the installed protobuf, and other packages that register the same
``inference.*`` names in protobuf's default pool do not clash.
"""

import threading
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from stream_client.errors import ConfigurationError

_MAKING = threading.Lock()


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


def _with_nested(descriptor: Any) -> Iterator[Any]:
    yield descriptor
    for nested in descriptor.nested_types:
        yield from _with_nested(nested)


@cache
def _classes() -> dict[str, Any]:
    """Every message's class by its full name.

    protobuf itself keeps none alive: it makes a nested message's class when one is met and drops it when the last
    is gone. Under threads that ends in a crash now and then.
    """
    file = _pool().FindFileByName("kserve_v2.proto")
    return {
        nested.full_name: message_factory.GetMessageClass(nested)
        for descriptor in file.message_types_by_name.values()
        for nested in _with_nested(descriptor)
    }


@cache
def message_class(name: str) -> Any:
    """The class of ``inference.<name>``."""
    with _MAKING:
        return _classes()[f"inference.{name}"]
