"""``ovms-stream-client find``."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stream_client.cli.parser import Parser
from stream_client.cli.status import status_of
from stream_client.errors import ConfigurationError
from stream_client.recording.search import Found, Query, find, found_row, iso
from stream_client.util.amounts import moment
from stream_client.util.table import table

_MOST = 100_000


def build_parser() -> Parser:
    """The flags of ``find``."""
    parser = Parser(
        "ovms-stream-client find",
        "Find labels, events and files in recordings (--segment): in which file, and where in it.",
        "examples: ovms-stream-client find --label falling --since 2h\n"
        "          ovms-stream-client find /mnt/recordings --event fall --stream door --since '2026-03-03 14:00'",
    )
    parser.add_argument(
        "recordings", type=Path, nargs="?", default=Path("recordings"), help="their folder (default: recordings)"
    )
    parser.add_argument("--label", help="spans of this label")
    parser.add_argument("--event", metavar="RULE", help="events of this rule; with neither of them: files")
    parser.add_argument("--stream", help="of this stream only")
    parser.add_argument("--since", metavar="WHEN", help="2h, 7d, 2026-03-03, '2026-03-03 14:20' (default: ever)")
    parser.add_argument("--until", metavar="WHEN", help="as --since (default: no limit)")
    parser.add_argument("--limit", type=int, default=1000, help="at most so many, the newest (default: 1000)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def run(arguments: Sequence[str]) -> list[Found]:
    """Parse ``arguments`` and find; raises :class:`~stream_client.errors.StreamClientError`."""
    flags = build_parser().parse_args(arguments)
    if not 0 < flags.limit <= _MOST:
        raise ConfigurationError(f"{flags.limit} is out of range: 1 to {_MOST}", option="limit")
    now = time.time()
    query = Query(flags.label, flags.event, flags.stream, limit=flags.limit)
    since = query.since if flags.since is None else moment(flags.since, now, "since")
    until = query.until if flags.until is None else moment(flags.until, now, "until")
    if since > until:
        raise ConfigurationError("since is after until: nothing lies between them", option="since")
    found = find(flags.recordings, replace(query, since=since, until=until))
    print(
        json.dumps([found_row(each) for each in found], indent=2, ensure_ascii=False) if flags.json else _shown(found)
    )
    if len(found) == flags.limit:
        print(f"the newest {flags.limit}: there may be more (--limit, --until)", file=sys.stderr)
    return found


def _shown(found: Sequence[Found]) -> str:
    if not found:
        return "nothing found"
    rows = [
        (
            iso(each.begin),
            "" if each.end is None else f"{each.end - each.begin:.1f}",
            each.stream,
            *(() if each.kind == "file" else (each.name,)),
            ("" if each.file is None else str(each.file)) + ("" if each.complete else " (being written)"),
            "" if each.offset is None else f"{each.offset:.1f}",
        )
        for each in found
    ]
    what = () if found[0].kind == "file" else ("what",)
    return table(("time", "seconds", "stream", *what, "file", "offset s"), rows)


def main(arguments: Sequence[str]) -> int:
    """``find`` of the command line: 0, also where nothing is found; 2 for arguments that cannot work."""
    return status_of(run, arguments)
