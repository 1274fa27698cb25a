"""``python -m graph_server assets``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from graph_server.assets import ensure_clip, ensure_models
from graph_server.cli.messages import error_line
from graph_server.errors import GraphServerError


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``python -m graph_server assets``."""
    parser = argparse.ArgumentParser(prog="python -m graph_server assets", description=main.__doc__)
    parser.add_argument("--models_dir", type=Path, help="the model repository to fill (default: the user's cache)")
    parser.add_argument("--clip", action="store_true", help="fetch the sample clip too")
    return parser


def main(arguments: Sequence[str]) -> int:
    """``python -m graph_server assets``: fetch everything, print where it is."""
    options = build_parser().parse_args(arguments)
    try:
        print(ensure_models(options.models_dir))
        if options.clip:
            print(ensure_clip())
    except GraphServerError as error:
        print(f"error: {error_line(error)}", file=sys.stderr)
        return 1
    return 0
