"""The directive ``command-line``: the page of a command, made from its parser.

    ```{command-line} stream_client.cli.flags
    ```

names the module whose ``build_parser`` returns the parser.
"""

import argparse
import importlib
import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

_PUNCTUATION = re.compile(r"([^\w\s])")


class CommandLine(SphinxDirective):  # type: ignore[misc,unused-ignore]  # lint runs without Sphinx, too
    """Description, usage, examples, and each group of flags as a section."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The page's nodes."""
        parser = importlib.import_module(self.arguments[0]).build_parser()
        page = self.parse_text_to_nodes("\n".join(_head(parser)))
        for group in parser._action_groups:  # argparse lists them nowhere else
            options = "\n".join(_options(parser, group))
            if options:
                title = (group.title or "").capitalize()
                section = nodes.section(ids=[nodes.make_id(title)])
                section += nodes.title(text=title)
                section += self.parse_text_to_nodes(options)
                page.append(section)
        return page


def _head(parser: argparse.ArgumentParser) -> Iterator[str]:
    """What stands above the flags, as Markdown, a paragraph at a time."""
    yield f"{_plain(parser.description or '')}\n"
    usage = (parser.usage or parser.format_usage()).replace("%(prog)s", parser.prog).removeprefix("usage: ")
    yield _literal("\n".join(line.strip() for line in usage.splitlines()))
    if parser.epilog:
        yield _literal(parser.epilog)
    yield f"```{{program}} {parser.prog}\n```\n"


def _options(parser: argparse.ArgumentParser, group: argparse._ArgumentGroup) -> Iterator[str]:
    """The flags of a group, as Markdown."""
    for action in group._group_actions:
        if action.help != argparse.SUPPRESS and action.dest != "help":
            yield f"````{{option}} {_signature(parser, action)}\n{_plain(_help(parser, action))}\n````\n"


def _signature(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """All spellings with the value, as ``--port PORT, -p PORT``."""
    formatter = parser._get_formatter()
    if not action.option_strings:
        return formatter._format_args(action, formatter._get_default_metavar_for_positional(action))
    value = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
    return ", ".join(f"{flag} {value}".strip() for flag in action.option_strings)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return " ".join(((action.help or "") % {**vars(action), "prog": parser.prog}).split())


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is; backticks stay code."""
    parts = text.replace("``", "`").split("`")
    return "".join(f"`{part}`" if index % 2 else _PUNCTUATION.sub(r"\\\1", part) for index, part in enumerate(parts))


def _literal(text: str) -> str:
    lines = text.strip("\n")
    return f"````text\n{lines}\n````\n"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
