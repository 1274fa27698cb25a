"""``ovms-stream-client evaluate``."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from stream_client.classify.decision import DecisionOptions
from stream_client.classify.models import TrainedModel
from stream_client.cli.parser import Parser
from stream_client.cli.setting_flags import add_settings
from stream_client.cli.train import status_of
from stream_client.embedded import EmbeddedOptions
from stream_client.errors import ConfigurationError
from stream_client.options import ClassifierOptions
from stream_client.training.clips import LandmarkFinder, chosen, read_annotations
from stream_client.training.evaluate import Evaluation, agreement, compare, timeline, timeline_plot
from stream_client.training.landmarks import GraphServerLandmarks
from stream_client.util.settings import read


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``evaluate``."""
    parser = Parser(
        "ovms-stream-client evaluate",
        "Compare a model's labels over time with annotations beside the videos (VIDEO.annotations.json).",
        "example: ovms-stream-client evaluate models/exercises clip.mp4",
    )
    parser.add_argument("model", type=Path, help="the model directory that `train` wrote")
    parser.add_argument("video", type=Path, nargs="+", help="videos")
    parser.add_argument("--annotations", type=Path, help="the annotation file, for a single video")
    parser.add_argument("--timeline", type=Path, help="the plot to write, for a single video (PNG)")
    parser.add_argument(
        "--agree_with",
        type=Path,
        nargs="+",
        default=[],
        metavar="VIDEO",
        help="the same clip in other forms, at other frame rates for instance: for how much of it labels agree",
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    add_settings(parser.add_argument, DecisionOptions, "smoothing", "enter", "exit")
    add_settings(parser.add_argument, EmbeddedOptions, "models_dir")
    add_settings(parser.add_argument, ClassifierOptions, "allow_pickle")
    return parser


def run(arguments: Sequence[str], *, find: LandmarkFinder | None = None) -> dict[str, Evaluation]:
    """Parse ``arguments`` and evaluate; raises :class:`~stream_client.errors.StreamClientError`."""
    options = build_parser().parse_args(arguments)
    if len(options.video) > 1 and (options.annotations or options.timeline or options.agree_with):
        raise ConfigurationError("--annotations, --timeline and --agree_with are for a single video")
    model = TrainedModel.load(options.model, allow_pickle=options.allow_pickle)
    decision = read(DecisionOptions, vars(options))
    with GraphServerLandmarks(space=getattr(model.schema, "space", "image"), models_dir=options.models_dir) as server:
        results = {str(video): _evaluate(video, model, decision, find or server, options) for video in options.video}
    if options.json:
        try:
            options.json.write_text(json.dumps({name: asdict(result) for name, result in results.items()}, indent=2))
        except OSError as error:
            raise ConfigurationError(f"cannot write {options.json}: {error.strerror}", option="json") from error
    return results


def _evaluate(
    video: Path, model: TrainedModel, decision: DecisionOptions, find: LandmarkFinder, options: argparse.Namespace
) -> Evaluation:
    annotations = options.annotations or video.with_suffix(".annotations.json")
    if not annotations.is_file():
        raise ConfigurationError(f"no annotations of {video}: {annotations} does not exist", option="annotations")
    spans = chosen(read_annotations(annotations), model.labels, annotations)
    if not spans:
        raise ConfigurationError(f"{annotations} has none of the model's labels: {', '.join(model.labels)}")
    points = timeline(model, find(video, 1), decision)
    result = compare(points, spans)
    print(
        f"{video.name}: accuracy {result.accuracy:.1%}, {result.found} of {len(spans)} spans found, "
        f"{result.mean_delay:.2f} s to detection, {result.false_changes_a_minute:.1f} false changes a minute"
    )
    for other in options.agree_with:
        share = agreement(points, timeline(model, find(other, 1), decision))
        print(f"{other.name}: the same label for {share:.1%} of the time")
    if options.timeline:
        try:
            timeline_plot(points, spans, model.labels, options.timeline)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"cannot write {options.timeline}: {error}", option="timeline") from error
    return result


def main(arguments: Sequence[str]) -> int:
    """``evaluate`` of the command line: 0; 2 for arguments or data that cannot work, 1 for a failed run."""
    return status_of(run, arguments)
