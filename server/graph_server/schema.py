"""The message classes of a compiled protobuf schema that lies in this package."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


@dataclass(frozen=True, slots=True)
class Schema:
    """A pool of its own, and the class of every message by its full name.

    protobuf itself keeps no class alive: it makes a nested message's class when one is met and drops it when the last
    is gone, which under threads ends in a crash now and then. Extensions are known once their classes are made.
    """

    pool: descriptor_pool.DescriptorPool
    classes: dict[str, Any]


def load_schema(package: str, name: str) -> Schema:
    """Read ``name``, a FileDescriptorSet, from ``package``."""
    data = (files(package) / name).read_bytes()
    pool = descriptor_pool.DescriptorPool()
    names = []
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.Add(file)  # type: ignore[no-untyped-call,unused-ignore]
        names.append(file.name)
    classes = dict(message_factory.GetMessageClassesForFiles(names, pool))
    left: list[Any] = [nested for made in classes.values() for nested in made.DESCRIPTOR.nested_types]
    while left:
        descriptor = left.pop()
        classes[descriptor.full_name] = message_factory.GetMessageClass(descriptor)
        left += descriptor.nested_types
    return Schema(pool, classes)
