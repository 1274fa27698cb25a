"""The exit status of a command."""

import sys
from collections.abc import Callable, Sequence

from stream_client.cli.messages import error_line
from stream_client.cli.parser import RUN_ERROR, USAGE_ERROR
from stream_client.errors import ConfigurationError, StreamClientError


def status_of(run: Callable[[Sequence[str]], object], arguments: Sequence[str]) -> int:
    """Run a command: 0; 2 for arguments or data that cannot work, 1 for a failed run, each with one line."""
    try:
        run(arguments)
    except StreamClientError as error:
        print(f"error: {error_line(error)}", file=sys.stderr)
        return USAGE_ERROR if isinstance(error, ConfigurationError) else RUN_ERROR
    return 0
