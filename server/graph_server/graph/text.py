"""Parses a graph's text with protobuf, and finds the line of each node, which protobuf does not report."""

import re
from collections.abc import Iterator

from google.protobuf import text_format

from graph_server.errors import ConfigError
from graph_server.graph.messages import SCHEMA, CalculatorGraphConfig

_TYPE = re.compile(r"\[\s*(?:[\w.]+\s*/\s*)?(?P<name>[A-Za-z_]\w*(?:\s*\.\s*\w+)+)\s*\]\s*:?\s*(?=[{<])")
_CALCULATOR = re.compile(r"\bcalculator\s*:\s*[\"'](?P<name>\w+)[\"']")
_TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)|(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<word>[A-Za-z_]\w*)|(?P<mark>.)""",
    re.DOTALL | re.VERBOSE,
)


def parse_text(text: str) -> CalculatorGraphConfig:
    """Parse a ``CalculatorGraphConfig`` without options of unknown types. Raises :class:`ConfigError`.

    :func:`unknown_options` finds those options. Their calculators are usually unknown too, and the error should name
    the calculator.
    """
    for _, start, end in unknown_options(text):
        text = text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]
    try:
        return text_format.Parse(text, CalculatorGraphConfig(), descriptor_pool=SCHEMA.pool)
    except text_format.ParseError as error:
        raise ConfigError(f"{node_at(text, error.GetLine())}{error}") from error
    except RecursionError as error:
        raise ConfigError("the messages in the text are nested too deeply") from error


def node_at(text: str, line: int | None) -> str:
    """The beginning of a message about a line: the node of this line, or an empty text if there is none."""
    starts = [start for start in node_lines(text) if line is not None and start <= line]
    if not starts:
        return ""
    calculator = _CALCULATOR.search("\n".join(text.splitlines()[starts[-1] - 1 :]))
    return f'node "{calculator["name"]}" (line {starts[-1]}): ' if calculator else f"node (line {starts[-1]}): "


def unknown_options(text: str) -> Iterator[tuple[str, int, int]]:
    """Options of unknown types: the type, and the begin and end of ``[type] {…}`` in ``text``."""
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
    if name in SCHEMA.classes:
        return True
    try:
        SCHEMA.pool.FindExtensionByName(name)
    except KeyError:
        return False
    return True


def node_lines(text: str) -> Iterator[int]:
    """The line of each ``node``, in order. Also finds nodes in a list, ``node: [{…}, {…}]``."""
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
