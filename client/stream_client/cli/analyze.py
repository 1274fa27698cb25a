"""``ovms-stream-client analyze``."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import ImageColor

from stream_client.classify.factory import open_classifier
from stream_client.cli.flags import add_server_flags
from stream_client.cli.messages import error_line
from stream_client.cli.parser import Parser
from stream_client.cli.setting_flags import add_settings
from stream_client.cli.status import status_of
from stream_client.cli.targets import check_target
from stream_client.client import StreamClient
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.errors import ConfigurationError, SourceError, StreamClientError
from stream_client.frames import Image, Result
from stream_client.monitoring.progress import Progress
from stream_client.options import ClassifierOptions, RunOptions, StreamOptions
from stream_client.processing.labels import read_label_names
from stream_client.processing.overlay import WHITE, Rgb, draw_label
from stream_client.review.label_statistics import LabelStatistics, VideoStatistics
from stream_client.run_settings import transport_options
from stream_client.sinks.labels import LabelsSink
from stream_client.transport.addresses import EMBEDDED
from stream_client.transport.options import TransportOptions
from stream_client.transport.servable import LANDMARK_GRAPH
from stream_client.util.settings import read
from stream_client.util.table import table

_USUAL: Mapping[str, Rgb] = {
    "correct": (0, 200, 0),
    "incorrect": (230, 0, 0),
    "true": (0, 200, 0),
    "false": (230, 0, 0),
}
"""Colors that need not be asked for."""
_FLAGS = {"source": "video", "sinks": "--out"}


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``analyze``."""
    parser = Parser(
        "ovms-stream-client analyze",
        "Label videos: how many frames each label has, when, and for how long; and the labeled videos.",
        "example: ovms-stream-client analyze dance.mp4 --classifier models/dance --out analyzed/ "
        "--label_colors correct=green,incorrect=red",
    )
    add = parser.add_argument
    add("video", nargs="+", type=Path, help="the videos")
    add("--out", type=Path, metavar="DIR", help="folder for labeled videos and labels (VIDEO.mp4, VIDEO.labels.jsonl)")
    add("--json", type=Path, metavar="FILE", help="write the figures to this file")
    add("--label_colors", default="", metavar="LABEL=COLOR,…", help="colors of labels on the frame, by name or #rrggbb")
    add_settings(parser.add_argument_group("classifier in the client").add_argument, ClassifierOptions)
    add_settings(add_server_flags(parser), StreamOptions, "labels")
    return parser


def run(arguments: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """Parse ``arguments`` and analyze; the figures of each video by its path.

    A video that fails is named, and the others go on. Raises :class:`~stream_client.errors.StreamClientError` where
    none could be analyzed, or an output cannot be written.
    """
    flags = build_parser().parse_args(arguments)
    colors = _colors(flags.label_colors)
    if flags.json is not None:
        check_target(flags.json, flags.video, "json")
    if flags.out is not None:
        _check_names(flags.video)
        try:
            flags.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot make the folder {flags.out}: {error.strerror}", option="out") from error
    figures: dict[str, Mapping[str, Any]] = {}
    failed: list[str] = []
    with ExitStack() as stack:
        transport = _transport(flags, stack)
        for video in flags.video:
            try:
                statistics = _analyze(video, flags, transport, colors)
            except SourceError as error:
                failed.append(f"{video}: {error_line(error, flags=_FLAGS)}")
                continue
            figures[str(video)] = statistics.to_json()
            print(f"{video}: {statistics.whole.frames} frames")
            print(_table(statistics))
            _write(flags.json, figures, failed)  # an interruption later loses nothing
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    if not figures:
        raise StreamClientError("no video could be analyzed")
    _write(flags.json, figures, failed)
    if failed:
        raise StreamClientError(f"{len(failed)} of {len(flags.video)} videos could not be analyzed")
    return figures


def _write(file: Path | None, figures: Mapping[str, Mapping[str, Any]], failed: Sequence[str]) -> None:
    if file is None:
        return
    try:
        file.write_text(json.dumps({"videos": figures, "failed": failed}, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {file}: {error.strerror}", option="json") from error


def _check_names(videos: Sequence[Path]) -> None:
    """Refuse videos whose results would have the same names."""
    named: dict[str, Path] = {}
    for video in videos:
        other = named.setdefault(video.stem, video)
        if other != video:
            raise ConfigurationError(
                f"{other} and {video} would both write {video.stem}.mp4: analyze them into two folders", option="out"
            )


def _transport(flags: argparse.Namespace, stack: ExitStack) -> TransportOptions:
    """How to reach the server; an embedded one starts once, for all videos."""
    options = transport_options(vars(flags))
    if options.model_name is None and flags.classifier:
        options = replace(options, model_name=LANDMARK_GRAPH)
    if options.address != EMBEDDED:
        return options
    server = stack.enter_context(EmbeddedServer(read(EmbeddedOptions, vars(flags))))
    if flags.labels is None and flags.classifier is None:
        flags.labels = server.label_files.get(options.model_name or "holisticClassifier")
    return replace(options, address=server.address)


def _analyze(
    video: Path, flags: argparse.Namespace, transport: TransportOptions, colors: Mapping[str, Rgb]
) -> VideoStatistics:
    names = read_label_names(flags.labels) if flags.labels else None
    classifier = read(ClassifierOptions, vars(flags))
    sinks: list[Any] = []
    if flags.out is not None:
        sinks = [flags.out / f"{video.stem}.mp4", LabelsSink(flags.out / f"{video.stem}.labels.jsonl")]
    statistics = VideoStatistics()
    client = StreamClient(
        video,
        sinks,
        transport,
        options=RunOptions(),
        label_names=names,
        classifier=None if classifier.classifier is None else open_classifier(classifier, names),
        postprocess=partial(_labelled, colors=colors),
        on_result=statistics.add,
    )
    with Progress() as progress, client:
        client.on_start(progress.start)
        client.on_result(progress.result)
        summary = client.run()
    if summary.loss is not None:
        raise summary.loss
    return statistics


def _labelled(result: Result, colors: Mapping[str, Rgb]) -> Image:
    label = result.label
    return result.image if label is None else draw_label(result.image, label, colors.get(label.name.lower(), WHITE))


def _table(statistics: VideoStatistics) -> str:
    header = ("label", "frames", "share", "first s", "last s", "longest s")
    if not statistics.persons:
        return table(header, _rows(statistics.whole))
    rows = [(str(number), *row) for number, each in sorted(statistics.persons.items()) for row in _rows(each)]
    return table(("person", *header), rows)


def _rows(statistics: LabelStatistics) -> list[tuple[str, ...]]:
    return [
        (
            each.label,
            str(each.frames),
            f"{each.share:.1%}",
            f"{each.first:.2f}",
            f"{each.last:.2f}",
            f"{each.longest:.2f}",
        )
        for each in statistics.shares()
    ]


def _colors(text: str) -> Mapping[str, Rgb]:
    colors = dict(_USUAL)
    for part in filter(None, (part.strip() for part in text.split(","))):
        label, equals, name = part.partition("=")
        try:
            if not equals or not label:
                raise ValueError
            colors[label.lower()] = ImageColor.getrgb(name)[:3]
        except ValueError as error:
            raise ConfigurationError(
                f"{part!r} is no color of a label: correct=green or falling=#ff8800", option="label_colors"
            ) from error
    return colors


def main(arguments: Sequence[str]) -> int:
    """``analyze`` of the command line: 0; 2 for arguments that cannot work, 1 where a video failed."""
    return status_of(run, arguments, flags=_FLAGS)
