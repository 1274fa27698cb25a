"""``ovms-stream-client web``."""

import argparse
import asyncio
import logging
import resource
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from kserve_wire.malloc import keep_frame_memory
from stream_client.cli.messages import error_line, log
from stream_client.cli.parser import RUN_ERROR, USAGE_ERROR, Parser
from stream_client.cli.setting_flags import add_settings
from stream_client.cli.train_command import train_command
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.transport.addresses import EMBEDDED
from stream_client.transport.options import TlsOptions, TransportOptions
from stream_client.util.settings import read
from stream_client.web.application import create
from stream_client.web.model_server import ModelServer
from stream_client.web.options import WebOptions
from stream_client.web.parts import open_state
from stream_client.web.serving import WebServer, listen, url

_EPILOG = """
Open the URL that it prints. Browsers give a page the camera only over HTTPS, or on the machine itself: for other
machines give --tls_cert and --tls_key, or forward the port: ssh -L 8080:localhost:8080 HOST. Examples:

  ovms-stream-client web
  ovms-stream-client web --grpc_address host:9000 --media_dir videos/
  ovms-stream-client web --host 0.0.0.0 --tls_cert cert.pem --tls_key key.pem
"""

_DESCRIPTORS = 8192
_NO_CAMERA = (
    "browsers of other machines give no page their camera without HTTPS: add --tls_cert and --tls_key, "
    "or forward the port with ssh -L"
)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``web``."""
    parser = Parser("ovms-stream-client web", "Serve the web application: live cameras, streams, an API.", _EPILOG)
    add_settings(parser.add_argument_group("web").add_argument, WebOptions)
    add = parser.add_argument_group("model server").add_argument
    add_settings(add, TransportOptions, "grpc_address")
    add("--tls", action="store_true", help="use TLS with the model server")
    add_settings(add, TlsOptions, "tls_ca")
    add_settings(add, TransportOptions, "shared_memory", "connect_timeout")
    add_settings(add, EmbeddedOptions)
    parser.add_argument("--verbose", action="store_true", help="log what happens, and show tracebacks")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Serve until Ctrl-C or SIGTERM: 128 and the signal; 2 for flags that cannot work, 1 where serving failed."""
    keep_frame_memory()  # before there are threads: each has an arena of malloc otherwise, which tabs fill one by one
    flags = build_parser().parse_args(arguments)
    log(flags.verbose)
    _allow_many_connections()
    stopped_by: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        stopped_by.append(number)

    try:
        options, server = read(WebOptions, vars(flags)), _model_server(flags)
        with listen(options) as listener:
            port = listener.getsockname()[1]
            # uvicorn handles the signals while it serves, and sends them again once it has ended.
            previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                with open_state(options, port, server, train_command) as state:
                    print(f"web: {url(options, port, state.access.token)}", flush=True)
                    if not options.local and options.certificate is None:
                        print(_NO_CAMERA, file=sys.stderr, flush=True)
                    web = WebServer(create(state), options, state.streams.stop)
                    asyncio.run(web.serve([listener]))
            finally:
                for number, handler in previous.items():
                    signal.signal(number, handler)
    except StreamClientError as error:
        if flags.verbose:
            logging.getLogger(__name__).error("", exc_info=error)
        print(f"error: {error_line(error)}", file=sys.stderr)
        return USAGE_ERROR if isinstance(error, ConfigurationError) else RUN_ERROR
    return 128 + stopped_by[0] if stopped_by else 0


def _allow_many_connections() -> None:
    """Descriptors for all connections, streams and half-open TLS handshakes, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _model_server(flags: argparse.Namespace) -> ModelServer:
    given = vars(flags)
    if flags.tls_ca is not None and not flags.tls:
        raise ConfigurationError("--tls_ca needs --tls")
    if flags.grpc_address != EMBEDDED and (flags.models_dir or flags.config_path):
        raise ConfigurationError("--models_dir and --config_path are for the embedded server only")
    named = ("grpc_address", "tls", "tls_ca", "shared_memory", "connect_timeout")
    embedded = EmbeddedServer(read(EmbeddedOptions, given)) if flags.grpc_address == EMBEDDED else None
    return ModelServer({name: given[name] for name in named}, embedded)
