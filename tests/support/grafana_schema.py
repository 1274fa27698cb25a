"""Grafana's dashboard schema, as the classes that Grafana Labs generate from it (grafana-foundation-sdk).

Their ``from_json`` drops what the schema does not know and takes values of any type; so both are looked for
here: what does not come back, and what is not of the type that the schema says.
"""

import enum
import json
import types
import typing
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def problems(dashboard: dict[str, Any]) -> list[str]:
    """Where a dashboard does not follow the schema; empty when it does."""
    register_default_plugins()
    parsed = Dashboard.from_json(json.loads(json.dumps(dashboard)))
    back = json.loads(JSONEncoder().encode(parsed))
    return [*_unknown(dashboard, back, "dashboard"), *_mistyped(parsed, Dashboard, "dashboard")]


def _unknown(given: Any, back: Any, path: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(back, dict):
        for key, value in given.items():
            if key not in back and value is not None:
                yield f"{path}.{key} is unknown"
            elif key in back:
                yield from _unknown(value, back[key], f"{path}.{key}")
    elif isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        for index, (one, other) in enumerate(zip(given, back, strict=True)):
            yield from _unknown(one, other, f"{path}[{index}]")
    elif given != back:
        yield f"{path} is {given!r}, and {back!r} once read"


def _mistyped(value: Any, kind: Any, path: str) -> Iterator[str]:  # noqa: PLR0912 - a case a kind of type
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is typing.Any or kind is object:
        # Panels' own options and queries: of the class that from_json chose for the panel's type.
        kind = type(value) if type(value).__module__.startswith("grafana_foundation_sdk") else object
    if origin is typing.Literal:
        if value not in arguments:
            yield f"{path} is {value!r}, not one of {arguments}"
    elif origin in (typing.Union, types.UnionType):
        if all(any(True for _ in _mistyped(value, each, path)) for each in arguments):
            closest = min((list(_mistyped(value, each, path)) for each in arguments if each is not type(None)), key=len)
            yield from closest
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path} is no list"
        else:
            for index, each in enumerate(value):
                yield from _mistyped(each, arguments[0], f"{path}[{index}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{path} is no object"
        else:
            for key, each in value.items():
                yield from _mistyped(each, arguments[1], f"{path}.{key}")
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        if value not in [each.value for each in kind]:
            yield f"{path} is {value!r}, not one of {[each.value for each in kind]}"
    elif kind is float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            yield f"{path} is {value!r}, no number"
    elif isinstance(kind, type) and getattr(kind, "__annotations__", None) and not getattr(kind, "_is_protocol", False):
        if not isinstance(value, kind):
            yield f"{path} is {value!r}, no {kind.__name__}"
        else:
            for name, each in typing.get_type_hints(kind).items():
                if not isinstance(value, dict):
                    yield from _mistyped(getattr(value, name), each, f"{path}.{name}")
    elif kind in (str, int, bool, type(None)) and (not isinstance(value, kind) or (kind is int and value is True)):
        yield f"{path} is {value!r}, no {kind.__name__}"
