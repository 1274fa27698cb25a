"""The parser of all commands: short help, and errors of one line."""

import argparse
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

RUN_ERROR = 1
USAGE_ERROR = 2
"""Exit statuses. 0 is success; 128 and above is the signal that ended the run; 2 is argparse's own."""

_KINDS: dict[object, str] = {int: "N", float: "NUMBER", Path: "PATH"}


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of examples, and names a value by its kind, not by its flag."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        return _KINDS.get(action.type, "NAME")


class Parser(argparse.ArgumentParser):
    """An argument parser for the command ``prog``. An error is one line and exit status 2."""

    def __init__(self, prog: str, description: str, epilog: str, usage: str | None = None) -> None:
        super().__init__(prog=prog, usage=usage, description=description, epilog=epilog, formatter_class=_Formatter)

    def error(self, message: str) -> NoReturn:
        """End the process."""
        self.exit(2, f"error: {message}{self._meant(message)} (see {self.prog} --help)\n")

    def _meant(self, message: str) -> str:
        """The flag that a misspelt one is closest to."""
        for word in message.removeprefix("unrecognized arguments: ").split():
            if word.startswith("--") and word.rstrip(":,") not in self._option_string_actions:
                close = get_close_matches(word.partition("=")[0], self._option_string_actions, 1)
                return f"; did you mean {close[0]}?" if close else ""
        return ""
