"""Examines this machine: versions, encoders, display, outputs, ports."""

import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import av
import av.codec

from stream_client.doctor.finding import Finding, amiss, ok
from stream_client.doctor.publishing import try_publishing
from stream_client.errors import StreamClientError
from stream_client.publishing.options import SinkOptions
from stream_client.sinks.factory import open_sink
from stream_client.util.extras import install_command
from stream_client.util.redact import redact

_HARDWARE = ("h264_nvenc", "h264_qsv", "h264_vaapi", "h264_amf", "h264_videotoolbox", "h264_v4l2m2m")
_DECODERS = ("h264", "hevc", "mjpeg", "vp9", "av1")
_USUAL_PORTS = ((9000, "OVMS's gRPC"), (8000, "OVMS's REST"), (8554, "an RTSP server"))
_MIXED = "bf16 f32"
_LITTLE_SPACE = 1 << 30
_REINSTALL = "reinstall PyAV from its wheel: pip install --force-reinstall av"


def versions() -> Finding:
    """What is installed."""
    packages = [f"{name} {version(name)}" for name in ("av", "grpcio", "numpy", "protobuf")]
    return ok("versions", ", ".join([f"Python {platform.python_version()}", *packages, platform.platform()]))


def precision(models: Mapping[str, str], default: str) -> Finding:
    """The types that the models of the embedded server compute in. The project's landmarks need f32.

    A model of two types has layers in bf16 where that hardly changes its results. ``default`` is the type that this
    processor takes if a configuration leaves it open.
    """
    check = "embedded server, precision"
    kinds = sorted(set(models.values()))
    if set(kinds) <= {"f32", _MIXED}:
        found = "all models compute in f32" if kinds else "no model is compiled yet"
        if _MIXED in kinds:
            found += f", {' '.join(name for name, its in models.items() if its == _MIXED)} in part in bf16"
        return ok(check, f"{found}; the default of this processor is {default}")
    found = ", ".join(f"{kind}: {' '.join(name for name, its in models.items() if its == kind)}" for kind in kinds)
    remedy = 'add "INFERENCE_PRECISION_HINT": "f32" to plugin_config, or expect results that differ between processors'
    return amiss(check, found, remedy, needed=False)


def codecs(*, writes_video: bool) -> Iterator[Finding]:
    """Encoders and decoders in PyAV's FFmpeg."""
    if _has("libx264", "w"):
        hardware = [name for name in _HARDWARE if _has(name, "w")]
        with_hardware = f"; with the hardware for it: {', '.join(hardware)}" if hardware else ""
        yield ok("encoders", f"libx264{with_hardware}")
    else:
        yield amiss("encoders", "this PyAV has no libx264", _REINSTALL, needed=writes_video)
    there = [name for name in _DECODERS if _has(name, "r")]
    missing = [name for name in _DECODERS if name not in there]
    if missing:
        yield amiss("decoders", f"this PyAV cannot decode {', '.join(missing)}", _REINSTALL, needed="h264" in missing)
    else:
        yield ok("decoders", ", ".join(there))


def display(*, needed: bool) -> Finding:
    """Whether a window could be opened; opens none."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame
    except ImportError:
        return amiss("display", "pygame-ce is not installed", install_command("screen"), needed=needed)
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        remedy = "log in to a desktop, set DISPLAY, or write a file"
        found = "neither DISPLAY nor WAYLAND_DISPLAY is set"
        return amiss("display", found, remedy, needed=needed, option="sinks", value="out.mp4")
    try:
        pygame.display.init()
        driver = pygame.display.get_driver()
        sizes = pygame.display.get_desktop_sizes()
    except pygame.error as error:
        return amiss("display", error, "correct DISPLAY (xhost, ssh -X), or write a file", needed=needed)
    finally:
        pygame.display.quit()
    if driver in ("dummy", "offscreen"):
        return amiss("display", f"SDL's driver {driver!r} shows nothing", "unset SDL_VIDEODRIVER", needed=needed)
    return ok("display", f"{driver}, {', '.join(f'{width}x{height}' for width, height in sizes)}")


def output(spec: str, options: SinkOptions) -> Finding:
    """Whether results can go where ``spec`` names."""
    check = f"output {redact(spec)}"
    try:
        open_sink(spec, options)  # not opened: only understood
    except StreamClientError as error:
        return amiss(check, error, "correct the output's options", needed=True)
    if "://" in spec:
        return try_publishing(check, spec, insecure=options.rtsp_insecure)
    return folder(check, Path(spec))


def folder(check: str, path: Path) -> Finding:
    """Whether a file can be written at ``path``."""
    parent = path.parent
    if not parent.is_dir():
        return amiss(check, f"there is no folder {parent}", f"mkdir -p {parent}", needed=True)
    if path.is_dir() or not os.access(path if path.exists() else parent, os.W_OK):
        return amiss(check, f"{path} cannot be written", "name another place, or change its permissions", needed=True)
    free = shutil.disk_usage(parent).free
    if free < _LITTLE_SPACE:
        found = f"writable, but only {free / 2**20:.0f} MiB are free"
        return amiss(check, found, "make room: 1080p takes about 1 GiB in 20 minutes", needed=False)
    return ok(check, f"writable, {free / 2**30:.0f} GiB free")


def metrics_port(port: int) -> Finding:
    """Whether this program can serve metrics on ``port``."""
    if listens(port):
        return amiss(f"port {port}", "in use", "name another", needed=True, option="metrics_port")
    return ok(f"port {port}", "free, for metrics")


def usual_ports() -> Finding:
    """What listens on the usual ports."""
    states = [f"{port} ({who}) {'in use' if listens(port) else 'free'}" for port, who in _USUAL_PORTS]
    return ok("usual ports", ", ".join(states))


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, port))
        except OSError:
            return True
    return False


def outputs(specs: Sequence[str], options: SinkOptions) -> Iterator[Finding]:
    """Every output that is neither the screen nor nothing."""
    for spec in specs:
        if spec not in ("screen", "none"):
            yield output(spec, options)


def _has(name: str, mode: str) -> bool:
    try:
        av.codec.Codec(name, mode)  # type: ignore[arg-type]
    except av.codec.codec.UnknownCodecError:
        return False
    return True
