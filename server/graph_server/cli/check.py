"""``python -m graph_server check``: what OVMS would refuse of a configuration, or read otherwise."""

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from graph_server.assets import shipped_mounts
from graph_server.cli.arguments import add_mounts
from graph_server.config.check import check_config
from graph_server.config.findings import Finding
from graph_server.resources import cache_folder


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``python -m graph_server check``."""
    parser = argparse.ArgumentParser(prog="python -m graph_server check", description=__doc__)
    parser.add_argument("--config_path", type=Path, required=True, help="config.json as OVMS reads it")
    add_mounts(parser)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    return parser


def main(arguments: Sequence[str]) -> int:
    """``python -m graph_server check``: status 1 where OVMS refuses something or reads it otherwise."""
    options = build_parser().parse_args(arguments)
    mounts = shipped_mounts(options.config_path, cache_folder() / "models")
    found = check_config(options.config_path, {**mounts, **dict(options.mount)})
    faults = sum(finding.effect != "note" for findings in found.values() for finding in findings)
    print(_as_json(found) if options.json else _as_text(found, faults))
    return 1 if faults else 0


def _as_text(found: Mapping[str, Sequence[Finding]], faults: int) -> str:
    lines = []
    for place, findings in found.items():
        lines.append(place if findings else f"{place}: fine")
        for finding in findings:
            since = f" (OVMS since {finding.since})" if finding.since else ""
            lines.append(f"  {finding.effect}: {finding.reason}{since}")
    lines.append(f"{faults} faults" if faults != 1 else "1 fault")
    return "\n".join(lines)


def _as_json(found: Mapping[str, Sequence[Finding]]) -> str:
    entries = [
        {"place": place, "findings": [dataclasses.asdict(finding) for finding in findings]}
        for place, findings in found.items()
    ]
    return json.dumps(entries, indent=2)
