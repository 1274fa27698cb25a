"""``ovms-stream-client train``."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stream_client.classify.decision import UNKNOWN
from stream_client.classify.features import FeatureSchema
from stream_client.classify.joints import HANDS
from stream_client.classify.windows import WindowSpec
from stream_client.cli.parser import Parser
from stream_client.cli.setting_flags import add_settings
from stream_client.cli.status import status_of
from stream_client.embedded import EmbeddedOptions
from stream_client.errors import ConfigurationError
from stream_client.training.configuration import read_configuration
from stream_client.training.estimators import CANDIDATES
from stream_client.training.load import landmarks_for, load_dataset, with_recordings
from stream_client.training.report import class_table, comparison_table, confusion_table, not_held_out
from stream_client.training.result import Training
from stream_client.training.selection import without_augmentation
from stream_client.training.serve import add_to_configuration
from stream_client.training.strips import StripOptions
from stream_client.training.train import TrainOptions, train
from stream_client.training.versions import choose_version, keep_newest
from stream_client.training.windows import ClipOptions
from stream_client.util.redact import redact
from stream_client.util.wording import counted

_WINDOW_MS = 500.0


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``train``."""
    parser = Parser(
        "ovms-stream-client train",
        "Train a classifier of poses or movements on labeled clips or landmark tables.",
        "example: ovms-stream-client train --data clips/ --out models/exercises --window_ms 1000",
    )
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="DATA",
        help="paths, globs or URLs of folders with one folder of clips or photos a class, of annotations, landmarks or "
        "a table, or of zip archives of these",
    )
    parser.add_argument("--out", type=Path, required=True, help="the model directory to write")
    parser.add_argument("--labels", help="only these labels, comma-separated, in this order (annotation files)")
    parser.add_argument(
        "--rename", action="append", default=[], metavar="OLD=NEW", help="rename a class; may be repeated"
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        choices=sorted(CANDIDATES),
        help="the model to train; may be repeated (default: all are compared)",
    )
    parser.add_argument(
        "--no_background",
        action="store_true",
        help="leave out the unlabeled time of annotated clips, which is learned as `unknown` otherwise",
    )
    parser.add_argument(
        "--no_unknown", action="store_true", help="no guard: what was never shown gets one of the labels, too"
    )
    parser.add_argument(
        "--no_augmentation",
        action="store_true",
        help="learn from the samples as they are, not also mirrored, turned, jittered, faster and slower",
    )
    parser.add_argument("--tier", help="the tier of an ELAN file")
    parser.add_argument("--annotator", help="only the labels of this annotator (default: what all of them agree on)")
    parser.add_argument(
        "--window_ms",
        type=float,
        help=f"window length; 0: single frames (default {_WINDOW_MS:g}, or 0 where a class has photos only)",
    )
    parser.add_argument("--overlap_ms", type=float, help="what two windows share (default: four fifths)")
    parser.add_argument("--rate", type=float, default=20.0, help="samples a second in a window (default 20)")
    parser.add_argument("--pooling", default="mean,std,range", help="how samples become a row (default mean,std,range)")
    parser.add_argument("--space", choices=("image", "world"), default="image", help="which landmarks to learn from")
    parser.add_argument("--hands", action="store_true", help="learn from the shape of the hands, too")
    parser.add_argument(
        "--group_by",
        metavar="REGEX",
        help="what tells a person or session in FOLDER/FILE of a clip, or in a pose's name: never split by the folds",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="end with the first file or label that cannot be used, instead of skipping it",
    )
    parser.add_argument(
        "--no_pictures", action="store_true", help="no frames in the report: mistakes are shown as skeletons alone"
    )
    parser.add_argument("--version", type=int, help="the number of the version to write (default: the next one)")
    parser.add_argument("--keep", type=int, metavar="N", help="delete all but the N newest versions afterwards")
    add_settings(parser.add_argument, EmbeddedOptions, "models_dir")
    parser.add_argument("--serve", type=Path, metavar="CONFIG", help="add the model to this OVMS configuration")
    return parser


def run(arguments: Sequence[str]) -> Training:
    """Parse ``arguments`` and train; raises :class:`~stream_client.errors.StreamClientError`."""
    options = build_parser().parse_args(arguments)
    names = dict(_renaming(item) for item in options.rename)
    # What can be known is checked before an hour of training.
    if options.keep is not None and options.keep < 1:
        raise ConfigurationError(f"at least 1 version is kept, not {options.keep}", option="keep")
    if options.serve is not None:
        read_configuration(options.serve)
    version = choose_version(options.out, options.version)
    clip_options = _clip_options(options)
    with (
        tempfile.TemporaryDirectory(prefix="ovms-stream-client-") as scratch,
        landmarks_for(clip_options, options.models_dir) as server,
    ):
        dataset = load_dataset(
            options.data,
            clip_options,
            names=names,
            tier=options.tier,
            annotator=options.annotator,
            find=server,
            scratch=Path(scratch),
        )
        print(
            f"{counted(len(dataset.rows), 'sample')} in {counted(dataset.group_count, 'group')}, "
            f"split by {dataset.split}\n{class_table(dataset)}"
        )
        for warning in dataset.warnings:
            print(f"note: {warning}")
        if options.no_augmentation:
            dataset = without_augmentation(dataset)
        training = train(
            dataset,
            options.out,
            TrainOptions(tuple(options.model), unknown=not options.no_unknown, version=version),
            data=", ".join(redact(item) for item in options.data),
            strips=StripOptions(with_recordings(server, options.space), pictures=not options.no_pictures),
        )
    print(comparison_table(training.results, training.steadiness))
    print(f"\n{training.best.name}: {training.best.accuracy:.2%} by {dataset.split}; ", end="")
    print(f"a split by row would have claimed {training.careless.accuracy:.2%}")
    print(confusion_table(training.best.confusion, dataset.labels))
    if missing := not_held_out(training.best, dataset.labels):
        print(missing)
    print(f"{training.held_out.unknown_share:.1%} of the known samples become {UNKNOWN}")
    print(f"written to {training.folder}; {training.folder / 'report.html'} shows the mistakes")
    if options.keep is not None and (old := keep_newest(options.out, options.keep)):
        print(f"deleted {counted(len(old), 'version')}: {', '.join(map(str, old))}")
    if options.serve is not None:
        print(f"added to {options.serve}: {', '.join(add_to_configuration(training, options.serve))}")
    return training


def _clip_options(options: argparse.Namespace) -> ClipOptions:
    window = None
    length = _WINDOW_MS if options.window_ms is None else options.window_ms
    if length:
        overlap = 0.8 * length if options.overlap_ms is None else options.overlap_ms
        pooling = tuple(part.strip() for part in options.pooling.split(","))
        window = WindowSpec(length, overlap, options.rate, pooling=pooling)
    if options.hands and (window is None or options.space == "world"):
        raise ConfigurationError("hands are seen in windows of the image space only (--hands)")
    return ClipOptions(
        schema=FeatureSchema(space=options.space, hands=tuple(HANDS) if options.hands else ()),
        window=window,
        poses_of_photos=options.window_ms is None and not options.hands,
        labels=tuple(label.strip() for label in options.labels.split(",")) if options.labels else (),
        background=None if options.no_background else UNKNOWN,
        group_by=options.group_by,
        strict=options.strict,
    )


def main(arguments: Sequence[str]) -> int:
    """``train`` of the command line: 0; 2 for arguments or data that cannot work, 1 for a failed run."""
    try:
        return status_of(run, arguments)
    except KeyboardInterrupt:
        print(
            "interrupted: the landmarks found so far are kept, and the next training goes on from there",
            file=sys.stderr,
        )
        raise


def _renaming(item: str) -> tuple[str, str]:
    old, equals, new = item.partition("=")
    if not equals or not new:
        raise ConfigurationError(f"--rename takes OLD=NEW, not {item!r}")
    return old, new
