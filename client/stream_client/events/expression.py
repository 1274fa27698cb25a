"""Expressions over a result: a small part of Python's grammar, checked when it is read and never given to ``eval``.

Arithmetic, comparisons, ``and``, ``or``, ``not``, ``x if c else y``, names, numbers, texts, ``a.b``, ``a["b"]``,
``a[0]`` and calls of :data:`FUNCTIONS`. Attributes are keys of mappings, so no Python object can be reached.
"""

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stream_client.errors import ConfigurationError

Value = bool | float | int | str | None | Sequence["Value"] | Mapping[str, "Value"]
Names = Mapping[str, Value]
_Evaluate = Callable[[Names], Value]

_LONGEST = 2000
"""Characters of an expression."""
_DEEPEST = 40
"""Levels of an expression: it is evaluated by recursion."""


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LookupError
    return value


def _xy(value: Value) -> tuple[float, float]:
    if not isinstance(value, Mapping) or "x" not in value or "y" not in value:
        raise LookupError
    return _number(value["x"]), _number(value["y"])


def _distance(a: Value, b: Value) -> float:
    """Between two points, in their unit."""
    return math.dist(_xy(a), _xy(b))


def _angle(a: Value, b: Value, c: Value) -> float:
    """At ``b`` between ``a`` and ``c``, in degrees, 0…180."""
    (ax, ay), (bx, by), (cx, cy) = _xy(a), _xy(b), _xy(c)
    first, second = math.atan2(ay - by, ax - bx), math.atan2(cy - by, cx - bx)
    turn = abs(math.degrees(first - second)) % 360
    return min(turn, 360 - turn)


def _size(value: Value) -> int:
    if not isinstance(value, str | Sequence | Mapping):
        raise LookupError
    return len(value)


FUNCTIONS: Mapping[str, tuple[int, Callable[..., Value]]] = {
    "abs": (1, lambda a: abs(_number(a))),
    "min": (2, lambda a, b: min(_number(a), _number(b))),
    "max": (2, lambda a, b: max(_number(a), _number(b))),
    "round": (1, lambda a: round(_number(a))),
    "len": (1, _size),
    "distance": (2, _distance),
    "angle": (3, _angle),
}
"""Each with the number of its arguments."""
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_ORDER: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


@dataclass(frozen=True)
class Expression:
    """A checked expression. ``names`` are those that it may use.

    Raises :class:`.ConfigurationError` for what is no expression, and for what is not allowed in one.
    """

    text: str
    names: frozenset[str]
    uses: frozenset[str] = field(init=False, repr=False, compare=False)
    """The names in it."""
    _evaluate: _Evaluate = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.text) > _LONGEST:
            raise self._error(f"longer than {_LONGEST} characters")
        try:
            body = ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self._error("no expression") from error
        object.__setattr__(self, "_evaluate", self._compiled(body, 0))
        uses = frozenset(node.id for node in ast.walk(body) if isinstance(node, ast.Name))
        object.__setattr__(self, "uses", uses)

    def holds(self, values: Names) -> bool:
        """Whether it is true. It is false where a part of the result that it needs is not there."""
        try:
            return bool(self._evaluate(values))
        except (LookupError, ArithmeticError):
            return False

    def _error(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"when = {self.text[:200]!r}: {what}", option="events")

    def _compiled(self, node: ast.expr, depth: int) -> _Evaluate:  # noqa: PLR0912 - the grammar, one case each
        if depth > _DEEPEST:
            raise self._error(f"more than {_DEEPEST} levels")
        parts = [self._compiled(part, depth + 1) for part in self._parts(node)]
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None as value):
                return lambda _: value
            case ast.Name(id=name) if name in self.names:
                return lambda values: values.get(name)
            case ast.Name(id=name):
                raise self._error(f"{name!r} is not known: {', '.join(sorted(self.names))}")
            case ast.Attribute(attr=key):
                return lambda values: _member(parts[0](values), key)
            case ast.Subscript():
                return lambda values: _member(parts[0](values), parts[1](values))
            case ast.BoolOp(op=ast.And()):
                return lambda values: all(part(values) for part in parts)
            case ast.BoolOp():
                return lambda values: any(_true(part, values) for part in parts)
            case ast.UnaryOp(op=ast.Not()):
                return lambda values: not parts[0](values)
            case ast.UnaryOp(op=ast.USub()):
                return lambda values: -_number(parts[0](values))
            case ast.BinOp(op=kind) if type(kind) in _ARITHMETIC:
                calculate = _ARITHMETIC[type(kind)]
                return lambda values: calculate(_number(parts[0](values)), _number(parts[1](values)))
            case ast.IfExp():
                return lambda values: parts[1](values) if _true(parts[0], values) else parts[2](values)
            case ast.Compare(ops=kinds):
                return self._comparison(kinds, parts)
            case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS and len(parts) == FUNCTIONS[name][0]:
                function = FUNCTIONS[name][1]
                return lambda values: function(*(part(values) for part in parts))
            case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
                raise self._error(f"{name} takes {FUNCTIONS[name][0]} values")
            case ast.Call():
                raise self._error(f"only {', '.join(FUNCTIONS)} can be called")
        raise self._error(f"{ast.unparse(node)[:50]!r} is not allowed")

    @staticmethod
    def _parts(node: ast.expr) -> Sequence[ast.expr]:
        match node:
            case ast.Attribute(value=value) | ast.UnaryOp(operand=value):
                return [value]
            case ast.Subscript(value=value, slice=key):
                return [value, key]
            case ast.BoolOp(values=values):
                return values
            case ast.BinOp(left=left, right=right):
                return [left, right]
            case ast.IfExp(test=test, body=body, orelse=otherwise):
                return [test, body, otherwise]
            case ast.Compare(left=left, comparators=others):
                return [left, *others]
            case ast.Call(args=arguments, keywords=[]):
                return arguments
        return []

    def _comparison(self, kinds: Iterable[ast.cmpop], parts: Sequence[_Evaluate]) -> _Evaluate:
        compare = [_comparer(kind) for kind in kinds]
        if None in compare:
            raise self._error("compare with <, <=, ==, !=, >=, >, in and not in")
        known = [each for each in compare if each is not None]

        def evaluate(values: Names) -> Value:
            numbers = [part(values) for part in parts]
            return all(each(a, b) for each, a, b in zip(known, numbers, numbers[1:], strict=False))

        return evaluate


def _comparer(kind: ast.cmpop) -> Callable[[Value, Value], bool] | None:
    if isinstance(kind, ast.Eq):
        return lambda a, b: a == b
    if isinstance(kind, ast.NotEq):
        return lambda a, b: a != b
    if isinstance(kind, ast.In):
        return _contains
    if isinstance(kind, ast.NotIn):
        return lambda a, b: not _contains(a, b)
    if type(kind) in _ORDER:
        order = _ORDER[type(kind)]
        return lambda a, b: order(_number(a), _number(b))
    return None


def _true(part: _Evaluate, values: Names) -> bool:
    """In ``or`` and as a condition, what is not there is false."""
    try:
        return bool(part(values))
    except (LookupError, ArithmeticError):
        return False


def _contains(item: Value, group: Value) -> bool:
    if isinstance(group, str):
        return isinstance(item, str) and item in group
    if isinstance(group, Mapping):
        return isinstance(item, str) and item in group
    if isinstance(group, Sequence):
        return item in group
    raise LookupError


def _member(owner: Value, key: Value) -> Value:
    if isinstance(owner, Mapping) and isinstance(key, str) and key in owner:
        return owner[key]
    if isinstance(owner, Sequence) and not isinstance(owner, str) and isinstance(key, int):
        try:
            return owner[key]
        except IndexError as error:
            raise LookupError from error
    raise LookupError
