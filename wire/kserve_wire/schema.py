"""Message classes from a compiled protobuf schema, without generated Python code.

Each schema has a descriptor pool of its own. So the installed protobuf need not match the protobuf of the build, and
other packages that register the same names in protobuf's default pool do not clash.
"""

from dataclasses import dataclass
from importlib.resources import files

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Schema:
    """A descriptor pool, and the class of every message by its full name, nested ones included.

    The classes are kept because protobuf keeps none alive: it makes a nested message's class when it meets one, and
    drops it with its last user. When several threads do that, the process crashes now and then.
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
