"""Examines a server: reachable, live, ready, what it serves, a frame there and back."""

import math
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

import grpc

from stream_client.doctor.finding import Finding, amiss, ok, skipped
from stream_client.doctor.probe import probe
from stream_client.errors import (
    BadInputError,
    ConfigurationError,
    ConnectError,
    DeadlineError,
    StreamClientError,
    UnknownServableError,
)
from stream_client.frames import Image, Tensor
from stream_client.transport.connection import Connection
from stream_client.transport.line import sample
from stream_client.transport.options import Api, TransportOptions
from stream_client.transport.ovms_versions import capabilities
from stream_client.transport.servable import KNOWN_GRAPHS, ControlPlane, Servable, ServerInfo, TensorSpec
from stream_client.transport.session import connect

_ADDRESS = "grpc_address"
_AFTER_ADDRESS = ("gRPC", "server live", "server ready", "server name", "servable", "probe")
_POOLED = "not supported for graphs with queue enabled"
"""OVMS's error for a parameter of a pooled graph."""
_LINE_TRIES, _LINE_TIMEOUT = 5, 2.0
_OFFERS_NOTHING = "nothing to do if the probe succeeds; otherwise name a KServe v2 server"


@dataclass(frozen=True, slots=True)
class ServerChecks:
    """What to examine: ``options`` are the run's transport options. ``image`` is the frame to send. ``request_timeout``
    is in seconds.
    """

    options: TransportOptions
    image: Image
    request_timeout: float

    def run(self) -> Iterator[Finding]:
        """The findings, each as soon as it is known."""
        address = reachable(self.options.address)
        yield address
        if address.status == "failed":
            yield from skipped(_AFTER_ADDRESS, "no server")
            return
        connection = Connection(self.options)
        try:
            channel = connection.open()
        except StreamClientError as error:
            connection.close()
            tls = "leave tls out if the server has none" if self.options.tls else "add tls if the server has TLS"
            remedy = f"name the gRPC port (OVMS: --port), not the REST port; {tls}; see tls_ca for own certificates"
            yield amiss("gRPC", error, remedy, needed=True, option=_ADDRESS)
            yield from skipped(_AFTER_ADDRESS[1:], "no gRPC")
            return
        yield ok("gRPC", "connected, with TLS" if self.options.tls else "connected, without TLS")
        try:
            yield self._line(channel)
            yield from self._control_plane(channel)
        finally:
            connection.close()
        probes = []
        for api in get_args(Api):
            probes.append(self._probe(api))
            yield probes[-1]
        if any(finding.status == "ok" for finding in probes):
            yield from self._pool()

    def _line(self, channel: grpc.Channel) -> Finding:
        """How far away the server is, and what frames ask of the line."""
        check = "line to the server"
        tries = [sample(channel, None, _LINE_TIMEOUT).request for _ in range(_LINE_TRIES)]
        answered = [seconds for seconds in tries if not math.isnan(seconds)]
        wanted = f"frames as this one ask for {8e-6 * self.image.nbytes:.2g} Mbit each"
        if not answered:
            return amiss(check, f"no answer within {_LINE_TIMEOUT:g} s", "look at the network", needed=False)
        return ok(check, f"{1000 * min(answered):.1f} ms there and back without a frame; {wanted}, there and back")

    def _control_plane(self, channel: grpc.Channel) -> Iterator[Finding]:
        control = ControlPlane(channel, self.options.address)
        for check, ask in (("server live", control.server_live), ("server ready", control.server_ready)):
            try:
                answer = ask()
            except StreamClientError as error:
                yield amiss(check, error, _OFFERS_NOTHING, needed=False, option=_ADDRESS)
                continue
            wait = "wait until its models are loaded, and look into its log"
            yield ok(check, "yes") if answer else amiss(check, "no", wait, needed=False)
        try:
            info = control.server_info()
            yield ok("server name", f"{info.name} {info.version}".strip())
            yield from _capabilities(info)
        except StreamClientError as error:
            yield amiss("server name", error, _OFFERS_NOTHING, needed=False, option=_ADDRESS)
        yield from self._servables(control)

    def _servables(self, control: ControlPlane) -> Iterator[Finding]:
        names = KNOWN_GRAPHS if self.options.model_name is None else (self.options.model_name,)
        found = 0
        error: StreamClientError | None = None
        for name in names:
            try:
                yield ok(f"servable {name}", describe(control.servable(name)))
                found += 1
            except UnknownServableError as unknown:
                error = error or unknown
            except StreamClientError as failed:
                error = failed
        if not found:
            remedy = "name what the server serves (OVMS lists it at http://HOST:REST_PORT/v1/config)"
            yield amiss("servable", error, remedy, needed=True, option="model_name")

    def _pool(self) -> Iterator[Finding]:
        """Whether the graph comes from a pool. Only its answer to a parameter tells."""
        try:
            session = connect(replace(self.options, api="unary", parameters={"doctor": True}))
            if session.servable.is_graph:
                probe(session, self.image, timeout=self.request_timeout)
        except StreamClientError as error:
            if _POOLED in error.message:
                found = "the graph keeps its state from one stream to the next"
                remedy = (
                    "a graph with smoothing or tracking mixes cameras then: take OVMS_GRAPH_QUEUE_MAX_SIZE out of its "
                    "text, or start the server with OVMS_GRAPH_QUEUE_OFF=1 in its environment"
                )
                yield amiss("graph pool", found, remedy, needed=False)

    def _probe(self, api: Api) -> Finding:
        check = f"probe, {api}"
        options = replace(self.options, api=api)
        try:
            session = connect(options)
            result = probe(session, self.image, timeout=self.request_timeout)
        except StreamClientError as error:
            remedy, option, value = _remedy(error, api)
            return amiss(check, error, remedy, needed=api == self.options.api, option=option, value=value)
        outputs = ", ".join(_shown(tensor) for tensor in result.outputs.values())
        missing = [spec.name for spec in session.servable.outputs if spec.name not in result.outputs]
        without = f"; without {', '.join(missing)}" if missing else ""
        return ok(
            check,
            f"{session.servable.name}: {1000 * result.second:.1f} ms (first frame {1000 * result.first:.1f} ms): "
            f"{outputs}{without}",
        )


def _capabilities(info: ServerInfo) -> Iterator[Finding]:
    """What this release of OVMS has, and what to change where it lacks what a run may need."""
    check = "server's release"
    if info.release is None:
        return
    release, has = f"OVMS {info.release[0]}.{info.release[1]}", capabilities(info.release)
    if has.holistic_calculators:
        yield ok(check, f"{release}: {has}")
    else:
        remedy = "serve graphs/holistic_python (docs/ovms-versions.md), or take OVMS 2023.1 to 2026.4"
        yield amiss(check, f"{release}: {has}", remedy, needed=False)
    if has.idle_unloading:
        found = "if it unloads what is idle (idle_unload_timeout_seconds), the first frame waits until it is loaded"
        yield ok("server's idle unloading", found)


def reachable(address: str, timeout: float = 5.0) -> Finding:
    """Whether something listens at ``host:port`` or ``unix:path``."""
    check = f"server {address}"
    start = "start the server, or leave its address out for the embedded one"
    try:
        if address.startswith("unix:"):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(timeout)
                client.connect(address.removeprefix("unix:"))
        else:
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout).close()
    except socket.gaierror as error:
        return amiss(check, f"unknown host: {error.strerror}", "correct the host", needed=True, option=_ADDRESS)
    except TimeoutError:
        remedy = "look whether the host is up, and a firewall lets this port through"
        return amiss(check, f"no answer within {timeout:g} s", remedy, needed=True)
    except OSError as error:
        return amiss(check, error.strerror or error, f"{start}; correct it", needed=True, option=_ADDRESS)
    return ok(check, "something listens")


def describe(servable: Servable) -> str:
    """``model on openvino: image UINT8 [-1, -1, 3] -> scores FP32 [1, 4]``."""
    kind = "graph" if servable.is_graph else f"model on {servable.platform or 'an unnamed platform'}"
    inputs, outputs = (", ".join(map(_spec, specs)) or "not stated" for specs in (servable.inputs, servable.outputs))
    return f"{kind}: {inputs} -> {outputs}"


def _spec(spec: TensorSpec) -> str:
    if spec.datatype in ("INVALID", ""):
        return spec.name
    return f"{spec.name} {spec.datatype} {list(spec.shape)}"


def _shown(tensor: Tensor) -> str:
    return f"{tensor.name} {tensor.datatype} {list(tensor.array.shape)}"


def _remedy(error: StreamClientError, api: Api) -> tuple[str, str | None, str | None]:
    """What to do, the option it is about, and a value for it."""
    other = "unary" if api == "stream" else "stream"
    match error:
        case UnknownServableError():
            return "name what the server serves", "model_name", None
        case ConfigurationError() | BadInputError():
            return "set input_name, input_layout or input_dtype as the servable takes them", error.option, None
        case ConnectError():
            return "look into the server's log: it answered before", None, None
        case DeadlineError():
            return "look into the server's log for what holds it up, or wait longer", "request_timeout", None
    return "look into the server's log, or use the other API if its probe succeeds", "api", other
