"""A graph's text as protobuf reads it, and the lines on which its nodes start, which protobuf does not tell."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from graph_server.errors import ConfigError
from graph_server.graph.node import Node
from kserve_wire.schema import Schema, load_schema

_TYPE = re.compile(r"\[\s*(?:[\w.]+\s*/\s*)?(?P<name>[A-Za-z_]\w*(?:\s*\.\s*\w+)+)\s*\]\s*:?\s*(?=[{<])")
_CALCULATOR = re.compile(r"\bcalculator\s*:\s*[\"'](?P<name>\w+)[\"']")
_TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)|(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<word>[A-Za-z_]\w*)|(?P<mark>.)""",
    re.DOTALL | re.VERBOSE,
)


@cache
def _schema() -> Schema:
    return load_schema("graph_server.graph", "mediapipe_graph.binpb")


def parse_text(text: str) -> Any:
    """A ``CalculatorGraphConfig``, without options whose type is unknown; raises :class:`ConfigError`.

    :func:`unknown_options` tells those. Their calculators are unknown, too, as a rule, and that is what to complain of.
    """
    config = _schema().classes["mediapipe.CalculatorGraphConfig"]()
    for _, start, end in unknown_options(text):
        text = text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]
    try:
        return text_format.Parse(text, config, descriptor_pool=_schema().pool)
    except text_format.ParseError as error:
        raise ConfigError(f"{node_at(text, error.GetLine())}{error}") from error
    except RecursionError as error:
        raise ConfigError("its messages are nested too deeply") from error


def node_at(text: str, line: int | None) -> str:
    """The node that a line of a graph's text belongs to, to begin a message with; empty where there is none."""
    starts = [start for start in node_lines(text) if line is not None and start <= line]
    if not starts:
        return ""
    calculator = _CALCULATOR.search("\n".join(text.splitlines()[starts[-1] - 1 :]))
    return f'node "{calculator["name"]}" (line {starts[-1]}): ' if calculator else f"node (line {starts[-1]}): "


def unknown_options(text: str) -> Iterator[tuple[str, int, int]]:
    """Messages of unknown types: the type, and where ``[type] {…}`` begins and ends in ``text``."""
    masked = _TOKEN.sub(lambda token: " " * len(token[0]) if token["skip"] or token["string"] else token[0], text)
    last = 0
    for found in _TYPE.finditer(masked):
        name = re.sub(r"\s", "", found["name"])
        if found.start() >= last and not _is_known(name):
            depth, last = 0, len(text)
            for bracket in re.finditer(r"[{}<>]", masked[found.end() :]):
                depth += 1 if bracket[0] in "{<" else -1
                if not depth:
                    last = found.end() + bracket.end()
                    break
            yield name, found.start(), last


def _is_known(name: str) -> bool:
    schema = _schema()
    if name in schema.classes:
        return True
    try:
        schema.pool.FindExtensionByName(name)
    except KeyError:
        return False
    return True


def options_of(item: Any) -> dict[str, Any]:
    """The options of a node, or of an input stream handler, by their short names; raises :class:`ValueError`."""
    options = {}
    for extension, message in item.options.ListFields():
        if extension.is_extension:
            options[extension.message_type.name] = message
    for packed in getattr(item, "node_options", ()):
        if not packed.type_url:
            continue
        try:
            message = _schema().classes[packed.TypeName()]()
            packed.Unpack(message)
        except (KeyError, DecodeError) as error:
            raise ValueError(f"node_options of type {packed.type_url!r} are not implemented here") from error
        options[message.DESCRIPTOR.name] = message
    return options


def options_named(node: Node, name: str, *, alias: str | None = None) -> Any:
    """A node's options of the type ``mediapipe.NAME``; defaults where it has none.

    ``alias`` is another type for the same, whose fields have the same numbers.
    """
    if name in node.options:
        return node.options[name]
    message = _schema().classes[f"mediapipe.{name}"]()
    if alias is not None and alias in node.options:
        message.ParseFromString(node.options[alias].SerializeToString())
    return message


def node_lines(text: str) -> Iterator[int]:
    """The line of each ``node``, in order: also of those in a list, ``node: [{…}, {…}]``."""
    depth, line = 0, 1
    expecting = listing = False
    for token in _TOKEN.finditer(text):
        mark = token["mark"]
        if token["word"] and depth == 0:
            expecting = token["word"] == "node"
        elif mark == "[" and depth == 0:
            listing = expecting
        elif mark == "]" and depth == 0:
            expecting = listing = False
        elif mark in ("{", "<"):
            if depth == 0 and expecting:
                yield line
                expecting = listing
            depth += 1
        elif mark in ("}", ">"):
            depth -= 1
        line += token[0].count("\n")
