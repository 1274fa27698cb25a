"""Flags that are made from the settings of options."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import MISSING
from typing import Any

from stream_client.util.settings import Setting, settings

_METAVARS = {"s": "SECONDS", "ms": "MILLISECONDS", "px": "PIXELS"}


def add_settings(add: Callable[..., argparse.Action], options: type, *names: str, **defaults: object) -> None:
    """Add a flag for each setting of ``options``, or for those of these names; ``defaults`` replace theirs.

    ``add`` is a parser's or a group's ``add_argument``. Values have the names and types that
    :func:`~stream_client.util.settings.read` takes.
    """
    declared = {each.name: each for each in settings(options)}
    for name in names or declared:
        each = declared[name]
        default = defaults.get(name, each.shown_default)
        if each.kind is bool:
            action = "store_false" if default else "store_true"
            flag, text = (f"--no_{name}", each.off) if default else (f"--{name}", each.help)
            add(flag, dest=name, action=action, help=_escaped(text))
        elif each.repeated:
            text = f"{each.help}; may be given several times"
            add(f"--{name}", action="append", default=[], metavar=each.metavar, help=_escaped(text))
        else:
            add(
                f"--{name}",
                # A required flag names a part of the stream. A second one does not correct the first.
                action=_Once if each.default is MISSING else "store",
                type=_parser(each),
                default=default,
                choices=each.choices or None,
                metavar=each.metavar or (None if each.choices else _METAVARS.get(each.unit)),
                help=_escaped(_help(each, default)),
            )


class _Once(argparse.Action):
    """Stores a value; a second one is refused."""

    _given = False

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if self._given:
            raise argparse.ArgumentError(self, "given twice, but a run takes one")
        self._given = True
        setattr(namespace, self.dest, values)


def _parser(each: Setting) -> Callable[[str], object]:
    """The function that parses a flag's text. Words beside numbers stay as they are; the options check them."""
    if not each.words:
        return each.kind
    kind = each.kind

    def parse(text: str) -> object:
        try:
            return kind(text)
        except ValueError:
            return text

    return parse


def _help(each: Setting, default: object) -> str:
    if each.otherwise and default == each.shown_default:
        return f"{each.help} (default: {each.otherwise})"
    if default in (None, ""):
        return each.help
    return f"{each.help} (default: {f'{default:g}' if isinstance(default, float) else default})"


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
