"""The options of a node or of an input stream handler."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar, cast

from google.protobuf.message import DecodeError, Message

from graph_server.errors import ConfigError, UnsupportedError
from graph_server.graph.messages import SCHEMA, CalculatorGraphConfig, InputStreamHandlerConfig

Kind = TypeVar("Kind", bound=Message)


@dataclass(frozen=True, slots=True)
class Options:
    """Option messages by their types."""

    messages: Mapping[type[Message], Message] = field(default_factory=dict)

    def get(self, kind: type[Kind]) -> Kind | None:
        """The options of this type, or ``None``."""
        return cast("Kind | None", self.messages.get(kind))

    def of(self, kind: type[Kind]) -> Kind:
        """The options of this type, or the schema's defaults if the node has none."""
        found = self.get(kind)
        return kind() if found is None else found

    def needed(self, kind: type[Kind]) -> Kind:
        """The options of this type. Raises :class:`ConfigError` if the node has none."""
        found = self.get(kind)
        if found is None:
            raise ConfigError(f"options of type {kind.DESCRIPTOR.full_name} are missing")
        return found


def options_of(item: CalculatorGraphConfig.Node | InputStreamHandlerConfig) -> Options:
    """The options in the text, given as extensions or in ``node_options``. Raises :class:`UnsupportedError`."""
    messages: dict[type[Message], Message] = {}
    for extension, message in item.options.ListFields():
        if extension.is_extension:
            messages[type(message)] = message
    for packed in item.node_options if isinstance(item, CalculatorGraphConfig.Node) else ():
        if not packed.type_url:
            continue
        try:
            unpacked = SCHEMA.classes[packed.TypeName()]()
            packed.Unpack(unpacked)
        except (KeyError, DecodeError) as error:
            raise UnsupportedError(f"node_options of type {packed.type_url!r} are not implemented here") from error
        messages[type(unpacked)] = unpacked
    return Options(messages)
