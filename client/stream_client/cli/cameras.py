"""``ovms-stream-client cameras``."""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from urllib.parse import quote

from stream_client.cameras.found import FoundCamera, Mode
from stream_client.cameras.local import local_cameras
from stream_client.cameras.onvif import Device, discover, profiles
from stream_client.cli.parser import Parser
from stream_client.cli.status import status_of
from stream_client.errors import ConfigurationError, SourceError
from stream_client.util.table import table

_TIMEOUT = 10.0
"""Seconds that a device has to name its profiles."""
_MOST_SECONDS = 60.0


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``cameras``."""
    parser = Parser(
        "ovms-stream-client cameras",
        "List cameras: those of this machine, and ONVIF cameras of the local network, each with its --input_stream.",
        "example: STREAM_CLIENT_CREDENTIALS=onvif://me:secret@192.168.1.20 ovms-stream-client cameras",
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to wait for ONVIF cameras (default: 3)")
    parser.add_argument("--no_local", action="store_true", help="leave out the cameras of this machine")
    parser.add_argument("--no_onvif", action="store_true", help="leave out the network")
    parser.add_argument(
        "--onvif_address", action="append", default=[], metavar="HOST[:PORT]", help="ask this camera, too; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def run(arguments: Sequence[str]) -> list[FoundCamera]:
    """Parse ``arguments`` and list; raises :class:`~stream_client.errors.StreamClientError`."""
    flags = build_parser().parse_args(arguments)
    if not 0 < flags.seconds <= _MOST_SECONDS:
        raise ConfigurationError(f"{flags.seconds:g} s is out of range: above 0, at most 60", option="seconds")
    found = [] if flags.no_local else local_cameras()
    devices = [] if flags.no_onvif else discover(flags.seconds)
    known = {device.address for device in devices}
    given = [f"onvif://{address}" for address in flags.onvif_address]
    devices += [Device(address, "ONVIF camera") for address in given if address not in known]
    found += asyncio.run(_ask_all(devices))
    print(json.dumps([asdict(camera) for camera in found], indent=2) if flags.json else _shown(found))
    return found


async def _ask_all(devices: Sequence[Device]) -> list[FoundCamera]:
    return list(await asyncio.gather(*(_ask(device) for device in devices)))


async def _ask(device: Device) -> FoundCamera:
    """The camera behind a device, with one mode a profile."""
    try:
        streams = await profiles(device.address, timeout=_TIMEOUT)
    except SourceError as error:
        return FoundCamera("onvif", device.name, device.address, problem=error.message)
    modes = tuple(
        Mode(stream.encoding, stream.width, stream.height, (stream.rate,) if stream.rate else (), stream.name)
        for stream in streams
    )
    return FoundCamera("onvif", device.name, device.address, modes)


def _shown(found: Sequence[FoundCamera]) -> str:
    if not found:
        return "no cameras found"
    rows = []
    for camera in found:
        if not camera.modes:
            rows.append((camera.input_stream, camera.name, camera.problem or "no formats"))
        for number, mode in enumerate(camera.modes):
            name = camera.input_stream
            if mode.name and number:  # the first profile needs no name
                name += f"?profile={quote(mode.name)}"
            rates = f" at {', '.join(f'{rate:g}' for rate in mode.rates)}/s" if mode.rates else ""
            size = f"{mode.width}x{mode.height}" if mode.width else "size not known"
            rows.append((name, camera.name, f"{mode.format} {size}{rates}"))
    return table(("--input_stream", "name", "gives"), rows)


def main(arguments: Sequence[str]) -> int:
    """``cameras`` of the command line: 0, also where there is none; 2 for arguments that cannot work."""
    return status_of(run, arguments)
