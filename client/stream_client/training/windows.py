"""Cuts labelled clips into rows of windows, with the same code as a running stream."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from stream_client.classify.features import FeatureSchema
from stream_client.classify.windows import Window, WindowBuffer, WindowSpec
from stream_client.errors import ConfigurationError
from stream_client.training.augment import jittered, mirror, mirrored_target, rotated, scaled, time_warped
from stream_client.training.clips import LabelledClip, LandmarkFinder, Span, Track, chosen
from stream_client.training.dataset import Dataset, check_counts, group_of
from stream_client.training.tables import poses_to_dataset

Array = npt.NDArray[np.float64]

_VARIANTS = 12
"""Random variations of each clip and of its mirror image."""
_JITTER = 0.01
"""Noise on landmarks, in torso lengths."""
_NOISY = 3
"""Number of times each slower stream is evaluated, each time with other noise."""
_SLOWER = (2, 3)
"""Also learn from every second and every third frame: a tracker with fewer frames finds other landmarks."""


def clips_dataset(
    clips: Sequence[LabelledClip],
    find: LandmarkFinder,
    schema: FeatureSchema,
    window: WindowSpec | None,
    labels: Sequence[str] | None = None,
    background: str | None = None,
    group_by: str | None = None,
) -> Dataset:
    """The windows, or single poses without ``window``, that lie within one labelled span.

    ``background`` names a class for the unlabelled time of annotated clips. ``group_by`` finds the person or session
    in ``FOLDER/FILE`` of a clip (:func:`group_of`). Without it a group is a clip, or a labelled span if a label is in
    one clip only.
    """
    prepared = [
        (chosen(clip.spans, labels, clip.path), clip, find(clip.path, 1))
        for clip in tqdm(clips, unit="clip", disable=None)
    ]
    names = tuple(labels) if labels else tuple(sorted({span.label for spans, _, _ in prepared for span in spans}))
    _check_labels(names, clips)
    if background is not None:
        shortest = window.length_ms / 1000 if window else 0.2
        rest = [
            () if clip.whole else unlabelled(spans, float(track.timestamps[-1]) / 1e6, shortest, background)
            for spans, clip, track in prepared
        ]
        if sum(len(spans) for spans in rest) > 1:
            prepared = [
                ((*spans, *more), clip, track) for (spans, clip, track), more in zip(prepared, rest, strict=True)
            ]
            names = (*names, *({background} - set(names)))
    # Spans of one clip show the same person in the same room. They stay together if there are enough clips.
    split = "person or session" if group_by else "clip" if _in_several_clips(names, prepared) else "labelled span"
    warnings: tuple[str, ...] = (
        ("spans of the same clip are held out, with the same person and room: this does not show generality",)
        if split == "labelled span"
        else ()
    )
    groups: dict[tuple[str, int], int] = {}
    collected = _Rows()
    streams: list[tuple[tuple[Window, ...], ...]] = []
    for spans, clip, track in prepared:
        key = group_of(f"{clip.path.parent.name}/{clip.path.name}", group_by) if group_by else str(clip.path)
        numbers = [
            groups.setdefault((key, position if split == "labelled span" else 0), len(groups))
            for position in range(len(spans))
        ]
        before = len(collected.rows)
        if window is None:
            collected.add_poses(track, spans, numbers, names)
        else:
            # Even at half this rate there must be no gap.
            period = float(track.timestamps[-1] - track.timestamps[0]) / max(1, len(track.timestamps) - 1) / 1000
            slower = [find(clip.path, every) for every in _SLOWER if 2 * every * period <= window.max_gap_ms]
            streams.append(collected.add_windows([track, *slower], spans, numbers, names, schema, window))
        if len(collected.rows) == before and spans:
            warnings += (f"{clip.path} gives no sample: nobody is seen in it for {_seen(window)}",)
    what = str(clips[0].path) if len(clips) == 1 else f"{len(clips)} clips"
    if window is None:
        poses = np.array(collected.rows).reshape(-1, 33, 3)
        targets = np.array(collected.targets, dtype=np.intp)
        sources = [str(group) for group in collected.groups]
        return poses_to_dataset(poses, targets, sources, names, split=split, what=what, warnings=warnings)
    targets, numbers_of_rows = np.array(collected.targets, dtype=np.intp), np.array(collected.groups, dtype=np.intp)
    check_counts(targets, numbers_of_rows, names, what, split)
    return Dataset(
        rows=np.array(collected.rows, dtype=np.float32),
        targets=targets,
        groups=numbers_of_rows,
        labels=names,
        columns=window.names(schema.names),
        split=split,
        schema=schema,
        window=window,
        extra_rows=np.array(collected.extra_rows, dtype=np.float32).reshape(-1, len(window.names(schema.names))),
        extra_targets=np.array(collected.extra_targets, dtype=np.intp),
        extra_groups=np.array(collected.extra_groups, dtype=np.intp),
        streams=tuple(rates for rates in streams if len(rates) > 1),
        warnings=warnings,
    )


def _check_labels(names: Sequence[str], clips: Sequence[LabelledClip]) -> None:
    there = {span.label for clip in clips for span in clip.spans}
    if absent := [name for name in names if name not in there]:
        raise ConfigurationError(f"no {', '.join(absent)} among the labels {', '.join(sorted(there))}", option="labels")


def _in_several_clips(names: Sequence[str], prepared: Sequence[tuple[tuple[Span, ...], LabelledClip, Track]]) -> bool:
    """Whether each label is in at least two clips, or each clip has one label."""
    return all(clip.whole for _, clip, _ in prepared) or all(
        sum(any(span.label == name for span in spans) for spans, _, _ in prepared) > 1 for name in names
    )


def _seen(window: WindowSpec | None) -> str:
    return f"{window.length_ms:g} ms within a label" if window else "a moment within a label"


def unlabelled(spans: Sequence[Span], end: float, shortest: float, label: str) -> tuple[Span, ...]:
    """The time from 0 to ``end`` seconds outside ``spans``, in pieces of one to four times ``shortest``."""
    found = []
    at = 0.0
    for start, stop in [*sorted((span.start, span.end) for span in spans), (end, end)]:
        pieces = max(1, int((start - at) / (4 * shortest)) + 1)
        if start - at > shortest * 1.2:
            length = (start - at) / pieces
            found += [Span(at + piece * length, at + (piece + 1) * length, label) for piece in range(pieces)]
        at = max(at, stop)
    return tuple(found)


class _Rows:
    """Collects rows with their targets and groups, and augmented rows."""

    def __init__(self) -> None:
        self.rows: list[Array] = []
        self.targets: list[int] = []
        self.groups: list[int] = []
        self.extra_rows: list[Array] = []
        self.extra_targets: list[int] = []
        self.extra_groups: list[int] = []

    def add_poses(self, track: Track, spans: Sequence[Span], groups: list[int], names: tuple[str, ...]) -> None:
        for frame, timestamp in enumerate(track.timestamps):
            points = track.person(frame)
            position = _position(spans, int(timestamp), int(timestamp))
            if points is not None and position is not None:
                self.rows.append(points[:33])
                self.targets.append(names.index(spans[position].label))
                self.groups.append(groups[position])

    def add_windows(
        self,
        tracks: Sequence[Track],
        spans: Sequence[Span],
        groups: list[int],
        names: tuple[str, ...],
        schema: FeatureSchema,
        window: WindowSpec,
    ) -> tuple[tuple[Window, ...], ...]:
        """Add the ``tracks`` of a clip, at its own frame rate and at lower ones. Returns all windows of each."""
        rng = np.random.default_rng(len(self.groups))
        streams = [cut(tracks[0].timestamps, tracks[0].landmarks, schema, window)]
        for track in (*tracks[1:],) * _NOISY:
            # The model is trained on the same landmarks, and trees memorise them. Noise makes them differ.
            streams.append(cut(track.timestamps, jittered(track.landmarks, rng, _JITTER), schema, window))
        for position, row in within(spans, streams[0]):
            self.rows.append(row)
            self.targets.append(names.index(spans[position].label))
            self.groups.append(groups[position])
        for reflect in (False, True):
            for variant in range(_VARIANTS):
                track = tracks[variant % len(tracks)]
                landmarks = mirror(track.landmarks) if reflect else track.landmarks
                varied = jittered(rotated(scaled(landmarks, rng), rng), rng, _JITTER)
                # The spans are warped in the same way, so labels stay correct.
                warped = time_warped(track.timestamps, rng).astype(np.int64)
                factor = _factor(track.timestamps, warped)
                first = track.timestamps[0] / 1e6
                moved = [
                    Span(first + (s.start - first) * factor, first + (s.end - first) * factor, s.label) for s in spans
                ]
                for position, row in within(moved, cut(warped, varied, schema, window)):
                    target = names.index(spans[position].label)
                    other = mirrored_target(names, target) if reflect else target
                    if other is not None:
                        self.extra_rows.append(row)
                        self.extra_targets.append(other)
                        self.extra_groups.append(groups[position])
        return tuple(streams)


def cut(
    timestamps: npt.NDArray[np.int64], landmarks: Array, schema: FeatureSchema, window: WindowSpec
) -> tuple[Window, ...]:
    """The windows of a track, in order."""
    buffer = WindowBuffer(schema, window)
    return tuple(
        found
        for timestamp, points in zip(timestamps, landmarks, strict=True)
        for found in buffer.add(int(timestamp), None if np.isnan(points[0, 0]) else points)
    )


def within(spans: Sequence[Span], windows: Sequence[Window]) -> Iterator[tuple[int, Array]]:
    """The row of each window inside a span, with the position of the span."""
    for window in windows:
        position = _position(spans, window.start, window.end)
        if window.row is not None and position is not None:
            yield position, window.row


def _position(spans: Sequence[Span], start: int, end: int) -> int | None:
    for position, span in enumerate(spans):
        if span.start * 1e6 <= start and end <= span.end * 1e6:
            return position
    return None


def _factor(before: npt.NDArray[np.int64], after: npt.NDArray[np.int64]) -> float:
    return float((after[-1] - after[0]) / (before[-1] - before[0])) if len(before) > 1 else 1.0
