"""Message classes from a compiled protobuf schema, without generated Python code.

Each schema has its own descriptor pool. So the installed protobuf may have another version than the protobuf of the
build, and other packages may register the same names in protobuf's default pool.
"""

from dataclasses import dataclass
from importlib.resources import files

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Schema:
    """A descriptor pool, and the class of every message by its full name, also of nested messages.

    This object keeps the classes, because protobuf does not. Protobuf makes the class of a nested message when it needs
    one, and deletes it after the last use. When several threads do this, the process sometimes crashes.
    """

    pool: descriptor_pool.DescriptorPool
    classes: dict[str, type[Message]]

    def top_level(self, package: str) -> dict[str, type[Message]]:
        """The classes of a protobuf package by their short names, without nested ones."""
        return {
            kind.DESCRIPTOR.name: kind
            for kind in self.classes.values()
            if kind.DESCRIPTOR.containing_type is None and kind.DESCRIPTOR.file.package == package
        }


def load_schema(package: str, name: str) -> Schema:
    """Read ``name``, a FileDescriptorSet, from the Python package ``package``. Raises :class:`ImportError`."""
    try:
        data = (files(package) / name).read_bytes()
    except OSError as error:
        raise ImportError(f"{name} is missing: install the package, for instance with `pip install -e .`") from error
    pool = descriptor_pool.DescriptorPool()
    names = []
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.Add(file)  # type: ignore[no-untyped-call,unused-ignore]
        names.append(file.name)
    classes = dict(message_factory.GetMessageClassesForFiles(names, pool))
    outer = list(classes.values())
    while outer:
        owner = outer.pop()
        for descriptor in owner.DESCRIPTOR.nested_types:
            nested = message_factory.GetMessageClass(descriptor)  # type: ignore[arg-type,unused-ignore]
            if not hasattr(owner, descriptor.name):  # protobuf in pure Python
                setattr(owner, descriptor.name, nested)
            classes[descriptor.full_name] = nested
            outer.append(nested)
    return Schema(pool, classes)
