"""``ovms-stream-client evaluate``."""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from stream_client.classify.decision import DecisionOptions
from stream_client.classify.models import TrainedModel
from stream_client.cli.parser import Parser
from stream_client.cli.setting_flags import add_settings
from stream_client.cli.status import status_of
from stream_client.embedded import EmbeddedOptions
from stream_client.errors import ConfigurationError, SourceError
from stream_client.options import ClassifierOptions
from stream_client.training.clips import FindLandmarks, LabelledClip
from stream_client.training.consensus import agreed, disagreement_note
from stream_client.training.evaluate import Evaluation, agreement, compare, timeline, timeline_plot
from stream_client.training.judged import evaluation_html, write_evaluation
from stream_client.training.landmarks import GraphServerLandmarks
from stream_client.training.load import with_recordings
from stream_client.training.material import SearchOptions, labeled_by, search
from stream_client.util.settings import read
from stream_client.util.wording import counted


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``evaluate``."""
    parser = Parser(
        "ovms-stream-client evaluate",
        "Compare a model's labels over time with annotations beside the videos (VIDEO.annotations.json).",
        "example: ovms-stream-client evaluate models/exercises clip.mp4",
    )
    parser.add_argument("model", type=Path, help="the model directory that `train` wrote")
    parser.add_argument("video", nargs="+", help="videos with annotations beside them, or what `train --data` takes")
    parser.add_argument("--annotations", type=Path, help="the annotation file, for a single video")
    parser.add_argument("--tier", help="the tier of an ELAN file")
    parser.add_argument("--annotator", help="only the labels of this annotator (default: what all of them agree on)")
    parser.add_argument("--timeline", type=Path, help="the plot to write, for a single video (PNG)")
    parser.add_argument(
        "--agree_with",
        type=Path,
        nargs="+",
        default=[],
        metavar="VIDEO",
        help="the same clip in other forms, at other frame rates for instance: for how much of it labels agree",
    )
    parser.add_argument("--report", type=Path, metavar="HTML", help="write a report that shows the mistakes")
    parser.add_argument("--no_pictures", action="store_true", help="no frames in the report, skeletons alone")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    # Without these two, the model's own thresholds hold.
    add_settings(parser.add_argument, DecisionOptions, "smoothing", "enter", "exit", enter=None, exit=None)
    add_settings(parser.add_argument, EmbeddedOptions, "models_dir")
    add_settings(parser.add_argument, ClassifierOptions, "allow_pickle")
    return parser


def run(arguments: Sequence[str], *, find: FindLandmarks | None = None) -> dict[str, Evaluation]:
    """Parse ``arguments`` and evaluate; raises :class:`~stream_client.errors.StreamClientError`."""
    options = build_parser().parse_args(arguments)
    if len(options.video) > 1 and (options.annotations or options.timeline or options.agree_with):
        raise ConfigurationError("--annotations, --timeline and --agree_with are for a single video")
    for name in ("report", "json", "timeline"):
        target: Path | None = getattr(options, name)
        if target is not None and not target.parent.is_dir():
            raise ConfigurationError(f"cannot write {target}: it has no folder", option=name)
    model = TrainedModel.load(options.model, allow_pickle=options.allow_pickle)
    own = options.enter is None and options.exit is None
    decision = read(DecisionOptions, vars(options), labels=model.thresholds if own else {})
    space = getattr(model.schema, "space", "image")
    hands = bool(getattr(model.schema, "hands", ()))
    with (
        tempfile.TemporaryDirectory(prefix="ovms-stream-client-") as scratch,
        GraphServerLandmarks(space=space, models_dir=options.models_dir, hands=hands) as server,
    ):
        finder = with_recordings(find or server, space)
        clips, notes = _clips(options, model, Path(scratch))
        for note in notes:
            print(f"note: {note}")
        if options.report:
            title = f"{options.model.name} on {counted(len(clips), 'clip')}"
            text = evaluation_html(model, clips, finder, title, pictures=not options.no_pictures)
            write_evaluation(text, options.report)
        results = {}
        for clip in clips:
            try:
                results[str(clip.path)] = _evaluate(clip, model, decision, finder, options)
            except SourceError as error:
                if len(clips) == 1:
                    raise
                print(f"note: skipped: {error.message}")
    if not results:
        raise ConfigurationError(f"{' '.join(options.video)}: no clip can be read")
    if options.json:
        try:
            options.json.write_text(json.dumps({name: asdict(result) for name, result in results.items()}, indent=2))
        except OSError as error:
            raise ConfigurationError(f"cannot write {options.json}: {error.strerror}", option="json") from error
    return results


def _clips(
    options: argparse.Namespace, model: TrainedModel, scratch: Path
) -> tuple[Sequence[LabelledClip], Sequence[str]]:
    """The clips with a label of the model, and notes about what was skipped."""
    search_options = SearchOptions(scratch, options.tier, options.annotator)
    if options.annotations:
        material = labeled_by(options.annotations, Path(options.video[0]), search_options)
    else:
        material = search(options.video, search_options)
    notes = list(material.notes)
    kept = []
    disputes = []
    for clip, one in zip(material.clips, agreed(material.clips, model.labels), strict=True):
        if one.spans:
            kept.append(replace(clip, spans=one.spans, unclear=(*clip.unclear, *one.disputed)))
        if one.disputed:
            end = max((span.end for span in clip.spans if span.end != float("inf")), default=0.0)
            disputes.append((clip.path, one, end))
    if disputes:
        notes.append(disagreement_note(disputes))
    if not kept:
        names = " ".join(options.video)
        raise ConfigurationError(f"{names}: no annotation has one of the model's labels: {', '.join(model.labels)}")
    return kept, notes


def _evaluate(
    clip: LabelledClip,
    model: TrainedModel,
    decision: DecisionOptions,
    find: FindLandmarks,
    options: argparse.Namespace,
) -> Evaluation:
    points = timeline(model, find(clip.path, 1), decision)
    result = compare(points, clip.spans, clip.unclear)
    print(
        f"{clip.path}: accuracy {result.accuracy:.1%}, "
        f"{result.found} of {counted(len(clip.spans), 'span')} found, "
        f"{result.mean_delay:.2f} s to detection, {result.false_changes_a_minute:.1f} false changes a minute"
    )
    for other in options.agree_with:
        share = agreement(points, timeline(model, find(other, 1), decision))
        print(f"{other.name}: the same label for {share:.1%} of the time")
    if options.timeline:
        try:
            timeline_plot(points, clip.spans, model.labels, options.timeline)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"cannot write {options.timeline}: {error}", option="timeline") from error
    return result


def main(arguments: Sequence[str]) -> int:
    """``evaluate`` of the command line: 0; 2 for arguments or data that cannot work, 1 for a failed run."""
    return status_of(run, arguments)
