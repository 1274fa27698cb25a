"""What the commands ``train`` and ``evaluate`` have in common."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from stream_client.errors import ConfigurationError, StreamClientError


def add_models_dir(parser: argparse.ArgumentParser) -> None:
    """The flag of both."""
    parser.add_argument("--models_dir", type=Path, help="the graph server's models (default: the user's cache)")


def status_of(run: Callable[[Sequence[str]], object], arguments: Sequence[str]) -> int:
    """Run a command: 0; 2 for arguments or data that cannot work, 1 for a failed run, each with one line."""
    try:
        run(arguments)
    except StreamClientError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1
    return 0
