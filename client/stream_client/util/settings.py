"""Settings: fields of options that a user may set, declared once, beside their type and default.

A dataclass declares them so, and calls :func:`check` in its ``__post_init__``::

    quality: int = field(default=20, metadata=setting("constant rate factor, 0 is best", minimum=0, maximum=51))

Whatever shows settings to users (flags, files, forms) is made from :func:`settings`, and :func:`read` goes back.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from stream_client.errors import ConfigurationError

Settings = Mapping[str, object]
"""Values by the names of settings, in the user's units, as flags have them. ``None`` is as good as not given."""
T = TypeVar("T")

_KEY = "setting"
_MOST = 1e9
"""Thirty years in seconds: what an operating system's waits can take. It leaves out infinity, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a field of options is to a user.

    ``name`` is unique among all settings; ``unit`` is of what the user gives, which is the field's value times
    ``scale``. Numbers are above ``above``, and from ``minimum`` to ``maximum``, in the field's own unit.
    ``otherwise`` says what happens where nothing is set, ``metavar`` stands for a value in a flag's help, and ``off``
    is the help of a flag that turns off what is on by default.

    The rest is found out from the field: its name; the type of its values (of each of them, where it is
    ``repeated``); its default, or ``dataclasses.MISSING``; the texts that it takes, as the only ones (``choices``) or
    beside numbers (``words``).
    """

    help: str
    name: str = ""
    unit: str = ""
    scale: float = 1.0
    above: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    otherwise: str = ""
    metavar: str = ""
    off: str = ""
    field: str = ""
    kind: type = str
    default: object = None
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    repeated: bool = False

    @property
    def range(self) -> str:
        """The numbers and words it takes: ``0 to 51``, ``above 0``, ``1 or more, or auto``."""
        if self.minimum is not None and self.maximum is not None:
            numbers = f"{self.minimum:g} to {self.maximum:g}"
        elif self.minimum is not None:
            numbers = f"{self.minimum:g} or more"
        else:
            numbers = "any number" if self.above is None else f"above {self.above:g}"
        return ", or ".join((numbers, *self.words))

    @property
    def shown_default(self) -> object:
        """The default as a user would give it; ``None`` where there is none."""
        return None if self.default is dataclasses.MISSING else self.to_user(self.default)

    def to_user(self, value: object) -> object:
        """The field's value in the user's unit."""
        return value * self.scale if self.scale != 1 and isinstance(value, int | float) else value

    def from_user(self, given: Any) -> object:
        """The field's value of what a user gave; a wrong type is left to :meth:`check`."""
        if self.repeated:
            return (given,) if isinstance(given, str) else tuple(given)
        if self.kind is Path and isinstance(given, str):
            return Path(given)
        return given / self.scale if self.scale != 1 and isinstance(given, int | float) else given

    def check(self, value: object) -> None:
        """Raise :class:`.ConfigurationError`, with this option, for a value that cannot be."""
        if value is None or self.repeated or (isinstance(value, str) and value in self.words):
            return
        if self.choices and value not in self.choices:
            raise ConfigurationError(f"{value!r} is none of {', '.join(self.choices)}", option=self.name)
        if self.kind not in (int, float):
            return
        if isinstance(value, bool) or not isinstance(value, Integral if self.kind is int else Real):
            what = "a whole number" if self.kind is int else "a number"
            raise ConfigurationError(", nor ".join((f"{value!r} is not {what}", *self.words)), option=self.name)
        number = float(value)
        if not self._within(number):
            shown = f"{number * self.scale:g} {self.unit}".rstrip()
            limit = self.range if not number > _MOST else f"at most {_MOST:.0f}"
            raise ConfigurationError(f"{shown} is out of range: {limit}", option=self.name)

    def _within(self, number: float) -> bool:
        lowest = -math.inf if self.minimum is None else self.minimum
        highest = _MOST if self.maximum is None else self.maximum
        return lowest <= number <= highest and (self.above is None or number > self.above)


def setting(
    help: str,
    *,
    name: str = "",
    unit: str = "",
    scale: float = 1.0,
    above: float | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    otherwise: str = "",
    metavar: str = "",
    off: str = "",
) -> Mapping[str, Setting]:
    """Metadata that makes a dataclass's field a setting; see :class:`Setting`."""
    return {
        _KEY: Setting(
            help=help,
            name=name,
            unit=unit,
            scale=scale,
            above=above,
            minimum=minimum,
            maximum=maximum,
            otherwise=otherwise,
            metavar=metavar,
            off=off,
        )
    }


def settings(options: type) -> tuple[Setting, ...]:
    """The settings of a dataclass, in its order."""
    hints = get_type_hints(options)
    return tuple(
        _completed(field.metadata[_KEY], field, hints[field.name])
        for field in dataclasses.fields(options)
        if _KEY in field.metadata
    )


def check(options: object) -> None:
    """Raise :class:`.ConfigurationError` for the first setting that has a value that cannot be."""
    for each in settings(type(options)):
        each.check(getattr(options, each.field))


def read(options: type[T], given: Settings, **others: object) -> T:
    """Options of what a user gave by the settings' names; ``others`` are fields that are no settings.

    Names of other options are passed over. Raises :class:`.ConfigurationError`.
    """
    make: Callable[..., T] = options
    values = {each.field: each.from_user(given[each.name]) for each in settings(options) if _is_given(each, given)}
    return make(**values, **others)


def _is_given(each: Setting, given: Settings) -> bool:
    value = given.get(each.name)
    return bool(value) if each.repeated else value is not None  # a flag that was not repeated once is an empty list


def _completed(declared: Setting, field: "dataclasses.Field[Any]", hint: Any) -> Setting:
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    texts = tuple(str(text) for member in members if get_origin(member) is Literal for text in get_args(member))
    kinds = [member for member in members if member is not NoneType and get_origin(member) is not Literal]
    kind = kinds[0] if kinds else str
    repeated = get_origin(kind) is tuple
    return dataclasses.replace(
        declared,
        name=declared.name or field.name,
        field=field.name,
        kind=get_args(kind)[0] if repeated else kind,
        default=field.default,
        choices=() if kinds else texts,
        words=texts if kinds else (),
        repeated=repeated,
    )
