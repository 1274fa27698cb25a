"""The exit status of a command."""

import sys
from collections.abc import Callable, Mapping, Sequence

from stream_client.cli.messages import FLAGS, error_line
from stream_client.cli.parser import RUN_ERROR, USAGE_ERROR
from stream_client.errors import ConfigurationError, StreamClientError


def status_of(
    run: Callable[[Sequence[str]], object], arguments: Sequence[str], *, flags: Mapping[str, str] = FLAGS
) -> int:
    """Run a command: 0; 2 for arguments or data that cannot work, 1 for a failed run, each with one line.

    ``flags`` as in :func:`.error_line`.
    """
    try:
        run(arguments)
    except StreamClientError as error:
        print(f"error: {error_line(error, flags=flags)}", file=sys.stderr)
        return USAGE_ERROR if isinstance(error, ConfigurationError) else RUN_ERROR
    return 0
