"""Rules from a TOML file. Whatever is wrong is one line that names the file, the rule and the key."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeGuard, TypeVar, get_args

from stream_client.errors import ConfigurationError
from stream_client.events.expression import Expression
from stream_client.events.geometry import Line, Point, Zone
from stream_client.events.rules import Condition, Direction, Edge, LineRule, Rule, StateRule, Step
from stream_client.events.scene import FRAME_NAMES, TRACK_NAMES
from stream_client.util.toml import parse_toml

T = TypeVar("T")

BUILT_IN = {"fall": Path(__file__).parent / "fall.toml"}
"""Rules that come with the package, by name. A file of that name is ``./fall``."""
_WRITTEN_OUT = ("[[rule]]", "\n")
"""What rules have, and no name of a file."""
_CONDITION = {"label", "score", "class", "zone", "when", "at_least", "at_most", "for"}
_STEP = _CONDITION | {"within"}
_STATE = _CONDITION | {"sequence", "on", "gap", "each"}
_LINE = {"line", "direction", "margin", "class"}
_ALWAYS = {"name", "size"}
_MOST_RULES = 200
_LONGEST = 1_000_000
"""Bytes of a file."""
_LONGEST_TIME = 86_400
_NAME = re.compile(r"[^\x00-\x1f/+#]{1,64}")
"""A rule's name is a part of MQTT's topics and of file names."""


def read_rules(*names: str | Path) -> tuple[Rule, ...]:
    """The rules of TOML files, of texts in TOML, or of those that come with the package, as ``"fall"``.

    Raises :class:`.ConfigurationError`.
    """
    rules = tuple(rule for name in names for rule in _read(name))
    _check_names(rules, " and ".join("the rules" if is_text(name) else str(name) for name in names))
    return rules


def is_text(name: str | Path) -> bool:
    """Whether these are the rules themselves, and not the name of a file."""
    return any(each in str(name) for each in _WRITTEN_OUT)


def _read(name: str | Path) -> tuple[Rule, ...]:
    return _parse(str(name).encode(), "the rules") if is_text(name) else _read_file(name)


def _read_file(name: str | Path) -> tuple[Rule, ...]:
    path = BUILT_IN.get(str(name), Path(name))
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read rules from {path}: {error.strerror}", option="events") from error
    return _parse(text, str(path))


def _parse(text: bytes, name: str) -> tuple[Rule, ...]:
    try:
        if len(text) > _LONGEST:
            raise ValueError("it is too long")
        document = parse_toml(text.decode("utf-8-sig"), "events")
    except ValueError as error:
        raise ConfigurationError(f"{name} is no TOML: {error}", option="events") from error
    return parse_rules(document, name)


def parse_rules(document: Mapping[str, object], name: str = "rules") -> tuple[Rule, ...]:
    """The rules of a TOML document; raises :class:`.ConfigurationError`, which names the document ``name``."""
    unknown = set(document) - {"rule", "size"}
    tables = document.get("rule", [])
    if unknown or not isinstance(tables, list) or not tables or not all(isinstance(each, dict) for each in tables):
        raise ConfigurationError(f"{name}: [[rule]] tables are expected, and size", option="events")
    if len(tables) > _MOST_RULES:
        raise ConfigurationError(f"{name}: more than {_MOST_RULES} rules", option="events")
    rules = [
        _Table(f"{name}, rule {index}", {"size": document.get("size", [1, 1]), **table}).rule()
        for index, table in enumerate(tables, 1)
    ]
    _check_names(rules, name)
    return tuple(rules)


def _check_names(rules: Sequence[Rule], where: str) -> None:
    names = [rule.name for rule in rules]
    for each in names:
        if names.count(each) > 1:
            raise ConfigurationError(f"{where}: two rules are called {each!r}", option="events")


class _Table:
    """One table of the file. ``where`` names it in messages."""

    def __init__(self, where: str, table: Mapping[str, object]) -> None:
        self._where = where
        self._table = table

    def rule(self) -> Rule:
        name = self._get("name", str)
        if name is None or not _NAME.fullmatch(name) or name in (".", ".."):
            self._fail("name", "a text of 64 letters at most, without / + #, is needed")
        self._where = f"{self._where.rpartition(',')[0]}, rule {name!r}"
        if "line" in self._table:
            self._check_keys(_LINE | _ALWAYS)
            return self._line_rule(name)
        self._check_keys(_STATE | _ALWAYS)
        return self._state_rule(name)

    def _line_rule(self, name: str) -> LineRule:
        points = self._points("line")
        if len(points) != 2 or points[0] == points[1]:
            self._fail("line", "two points are needed")
        directions: tuple[Direction, ...] = get_args(Direction)
        direction = self._one_of("direction", directions)
        return LineRule(name, Line(points[0], points[1], self._number("margin", 0, 1)), direction, self._text("class"))

    def _state_rule(self, name: str) -> StateRule:
        tables = self._steps()
        about_things = any(not each.counts and ("zone" in each or "class" in each) for each in tables)
        each = self._get("each", bool)
        each = about_things if each is None else each
        if about_things and not each:
            self._fail("each", "a zone or a class without at_least or at_most is about each track")
        if each and any(table.counts for table in tables):
            self._fail("at_least", "a number of things is about the frame, not about each track")
        steps = tuple(table.step(each) for table in tables)
        edges: tuple[Edge, ...] = get_args(Edge)
        on = self._one_of("on", edges)
        return StateRule(name, steps, on, self._time("gap", 0.5), each)

    def _steps(self) -> "list[_Table]":
        listed = self._get("sequence", list)
        if listed is None:
            return [self]
        if _CONDITION & set(self._table):
            self._fail("sequence", f"{', '.join(sorted(_CONDITION & set(self._table)))} belongs into its steps")
        if not listed or not all(isinstance(step, dict) for step in listed):
            self._fail("sequence", "a list of tables is needed")
        tables = [
            _Table(f"{self._where}, step {index}", {"size": self._table["size"], **step})
            for index, step in enumerate(listed, 1)
        ]
        for table in tables:
            table._check_keys(_STEP | {"size"})
        return tables

    def __contains__(self, key: str) -> bool:
        return key in self._table

    @property
    def counts(self) -> bool:
        """Whether it bounds a number of things."""
        return "at_least" in self or "at_most" in self

    def step(self, each: bool) -> Step:
        """The step of a rule about each track, or about the frame."""
        if not (_CONDITION - {"for", "score"}) & set(self._table):
            self._fail("label", "a label, class, zone, when, at_least or at_most is needed")
        when, zone = self._text("when"), None
        if "zone" in self:
            zone = Zone(self._points("zone"))
            if len(zone.points) < 3:
                self._fail("zone", "three points or more are needed")
        expression = None
        if when is not None:
            try:
                expression = Expression(when, TRACK_NAMES if each else FRAME_NAMES)
            except ConfigurationError as error:
                raise ConfigurationError(f"{self._where}: {error.message}", option="events") from error
        condition = Condition(
            label=self._text("label"),
            score=self._number("score", 0, 1),
            kind=self._text("class"),
            zone=zone,
            when=expression,
            at_least=self._whole("at_least"),
            at_most=self._whole("at_most"),
        )
        return Step(condition, self._time("for", 0), self._time("within", 5))

    def _points(self, key: str) -> tuple[Point, ...]:
        size = self._table["size"]
        value = self._table[key]
        if not _is_pair(size) or min(size) <= 0:
            self._fail("size", "a width and a height are needed")
        if not isinstance(value, list) or not all(_is_pair(point) for point in value):
            self._fail(key, "a list of points [x, y] is needed")
        points = tuple((float(x) / size[0], float(y) / size[1]) for x, y in value)
        if not all(-1 <= c <= 2 for point in points for c in point):
            self._fail(key, "a point is far outside the frame: size is the frame's that the points are for")
        return points

    def _text(self, key: str) -> str | None:
        value = self._get(key, str)
        if value == "":
            self._fail(key, "it is empty")
        return value

    def _one_of(self, key: str, values: tuple[T, ...]) -> T:
        """The value among these; the first one is the default."""
        value = self._table.get(key, values[0])
        found = [each for each in values if each == value]
        if not found:
            self._fail(key, f"one of {', '.join(map(str, values))} is needed")
        return found[0]

    def _whole(self, key: str) -> int | None:
        value = self._get(key, int)
        if value is not None and (isinstance(value, bool) or not 0 <= value <= 10_000):
            self._fail(key, "a whole number from 0 is needed")
        return value

    def _number(self, key: str, default: float, most: float) -> float:
        value = self._table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            self._fail(key, f"a number from 0 to {most:g} is needed")
        return value

    def _time(self, key: str, default: float) -> int:
        """Seconds in the file, µs here."""
        return round(1e6 * self._number(key, default, _LONGEST_TIME))

    def _get(self, key: str, kind: type[T]) -> T | None:
        value = self._table.get(key)
        if value is not None and not isinstance(value, kind):
            self._fail(key, f"{value!r} is no {kind.__name__}")
        return value

    def _check_keys(self, known: set[str]) -> None:
        for key in self._table:
            if key not in known:
                self._fail(key, f"not known here: {', '.join(sorted(known - {'size'}))}")

    def _fail(self, key: str, what: str) -> NoReturn:
        raise ConfigurationError(f"{self._where}, {key}: {what}", option="events")


def _is_pair(value: object) -> TypeGuard[Sequence[float]]:
    return (
        isinstance(value, Sequence)
        and len(value) == 2
        and all(isinstance(each, int | float) and not isinstance(each, bool) for each in value)
    )
