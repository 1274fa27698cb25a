"""The directive ``settings``: what the settings of an options class take, made from their declarations.

```{settings} stream_client.RunOptions
```
"""

import importlib
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from stream_client.util.settings import Setting, settings

_UNITS = {"s": " seconds", "ms": " seconds", "px": " pixels"}
"""Of fields. A flag in milliseconds sets a field in seconds."""


class SettingsTable(SphinxDirective):  # type: ignore[misc,unused-ignore]  # lint runs without Sphinx, too
    """A row for each setting: field, values, default, meaning."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table."""
        module, _, name = self.arguments[0].rpartition(".")
        rows = _rows(getattr(importlib.import_module(module), name))
        text = "| field | takes | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows)
        return list(self.parse_text_to_nodes(text))


def _rows(options: type) -> Iterator[str]:
    for each in settings(options):
        cells = (f"`{each.field}`", _values(each), _default(each), _meaning(each))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _values(each: Setting) -> str:
    if each.choices:
        return ", ".join(f"`{choice}`" for choice in each.choices)
    if each.kind in (int, float):
        return each.range + _UNITS.get(each.unit, "")
    return f"`{each.kind.__name__}`" + (", repeated" if each.repeated else "")


def _default(each: Setting) -> str:
    if each.otherwise:
        return each.otherwise
    return "" if each.default in (None, (), "") or each.shown_default is None else f"`{each.default}`"


def _meaning(each: Setting) -> str:
    """The help, and the flag where it has another name."""
    if each.default is True:
        return f"{each.help} (`--no_{each.name}`)"
    return each.help if each.name == each.field else f"{each.help} (`--{each.name}`)"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive("settings", SettingsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
