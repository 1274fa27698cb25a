"""The command line: a command of its own, or a run."""

import argparse
import importlib
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence

from kserve_wire.loading import without_collections
from stream_client.cli.flags import build_parser
from stream_client.cli.messages import log
from stream_client.cli.parser import USAGE_ERROR
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.transport.addresses import EMBEDDED
from stream_client.util.extras import install_command
from stream_client.util.settings import read

logger = logging.getLogger(__name__)

LEAST_ADDRESS_SPACE = 1536 << 20
"""Bytes that a run of 1080p takes with what its threads reserve."""
_COMMANDS = {
    "train": "stream_client.cli.train",
    "evaluate": "stream_client.cli.evaluate",
    "distill": "stream_client.cli.distill",
    "readback": "stream_client.cli.readback",
    "doctor": "stream_client.cli.doctor",
    "benchmark": "stream_client.cli.benchmark",
    "analyze": "stream_client.cli.analyze",
    "view": "stream_client.cli.view",
    "cameras": "stream_client.cli.cameras",
    "web": "stream_client.cli.web",
    "batch": "stream_client.cli.batch",
    "fleet": "stream_client.cli.fleet",
    "find": "stream_client.cli.find",
}
"""Commands with flags of their own."""
_EXTRAS = {"train": "train", "evaluate": "train", "distill": "distill", "web": "web", "batch": "parquet"}
"""The extras that commands need."""


def _command(name: str, arguments: Sequence[str]) -> int:
    try:
        module = importlib.import_module(_COMMANDS[name])
    except ModuleNotFoundError as error:
        print(
            f"error: {name} needs {error.name}, which is not installed: {install_command(_EXTRAS.get(name, 'train'))}",
            file=sys.stderr,
        )
        return USAGE_ERROR
    except KeyboardInterrupt:  # its modules load for a second
        return 128 + signal.SIGINT
    try:
        status = int(module.main(arguments))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read standard output has enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what Python flushes at its end
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 0 at the end of the source, a limit or q; 1 when the run failed; 2 for arguments that cannot work."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in _COMMANDS:
        return _command(given[0], given[1:])
    parser = build_parser()
    flags = parser.parse_args(given)
    if flags.input_stream is None:
        parser.error("name a source with --input_stream")
    log(flags.verbose)
    _warn_of_little_memory()
    server = _embedded_server(flags)
    try:
        if server is not None:
            server.launch()
        # The server starts while these modules load, for half a second.
        with without_collections():
            from stream_client.cli.run import run

        return run(flags, server)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        if server is not None:
            server.close()


def _warn_of_little_memory() -> None:
    """gRPC and the encoder abort the process without a word where the system refuses memory."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        logger.warning(
            "the address space is limited to %d MiB (ulimit -v): below %d MiB the process may be aborted",
            limit >> 20,
            LEAST_ADDRESS_SPACE >> 20,
        )


def _embedded_server(flags: argparse.Namespace) -> EmbeddedServer | None:
    """The embedded server, if the flags ask for it."""
    if flags.grpc_address != EMBEDDED:
        return None
    return EmbeddedServer(read(EmbeddedOptions, vars(flags)), flags.model_name)
