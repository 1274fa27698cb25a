"""JSON and XML whose parts know the line of the file where they stand."""

import json
import json.scanner
from bisect import bisect_left
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder

from defusedxml.ElementTree import DefusedXMLParser, parse

_PLACE = " place"
"""No attribute of XML begins with a space."""


class _Placed(dict[str, Any]):
    place = ""


def place(item: Element | Mapping[str, Any]) -> str:
    """The line of an element, or of an object that was read with places; in JSON of one line, the column."""
    return item.place if isinstance(item, _Placed) else str(item.get(_PLACE, ""))


def json_content(text: str, *, places: bool) -> Any:
    """The content of JSON. With ``places``, which take longer, objects know theirs. Raises :class:`ValueError`."""
    return _PlacingDecoder(text).decode(text) if places else json.loads(text)


def xml_root(path: Path) -> Element | None:
    """The root of a file; elements know their places. Raises :class:`SyntaxError` or :class:`ValueError`."""
    builder = _PlacingBuilder()
    builder.parser = DefusedXMLParser(target=builder)
    root: Element | None = parse(path, builder.parser).getroot()
    return root


class _PlacingBuilder(TreeBuilder):
    parser: Any = None

    def start(self, tag: Any, attrs: Any, /) -> Any:
        return super().start(tag, {**attrs, _PLACE: f"line {self.parser.parser.CurrentLineNumber}"})


class _PlacingDecoder(json.JSONDecoder):
    parse_object: Any

    def __init__(self, text: str) -> None:
        super().__init__()
        lines = [position for position, letter in enumerate(text) if letter == "\n"]
        read: Callable[..., tuple[dict[str, Any], int]] = self.parse_object

        def parse_object(content: tuple[str, int], *rest: Any) -> Any:
            value, end = read(content, *rest)
            start = content[1]
            placed = _Placed(value)
            placed.place = f"line {bisect_left(lines, start) + 1}" if lines else f"line 1, column {start}"
            return placed, end

        self.parse_object = parse_object
        # The scanner in C calls no function of ours.
        self.scan_once = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]
