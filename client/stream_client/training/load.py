"""From what a user names to a dataset."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.training.clips import FindLandmarks, LabelledClip, Track
from stream_client.training.dataset import Dataset, differ_in_capitals, nothing_to_rename
from stream_client.training.landmarks import LEARNT_RATE, GraphServerLandmarks
from stream_client.training.material import SearchOptions, search
from stream_client.training.material.recordings import read_track
from stream_client.training.tables import read_table
from stream_client.training.windows import ClipOptions, clips_dataset
from stream_client.util.file_kinds import is_photo, is_recording
from stream_client.util.wording import counted, listed


def load_dataset(
    data: Path | str | Sequence[Path | str],
    options: ClipOptions | None = None,
    *,
    names: Mapping[str, str] | None = None,
    tier: str | None = None,
    annotator: str | None = None,
    models_dir: Path | None = None,
    find: FindLandmarks | None = None,
    scratch: Path | None = None,
) -> Dataset:
    """The samples of ``data``: paths, globs and URLs of what :func:`.search` finds.

    ``names`` renames classes. ``tier`` chooses a tier of ELAN, ``annotator`` one of several annotators. ``models_dir``
    is the graph server's model repository. ``find`` replaces the graph server. ``scratch`` is a folder for downloads
    and unpacked archives, by default one that is deleted at the end. Raises
    :class:`~stream_client.errors.StreamClientError`.
    """
    options = options or ClipOptions()
    given = [str(data)] if isinstance(data, str | Path) else [str(item) for item in data]
    with (
        tempfile.TemporaryDirectory(prefix="ovms-stream-client-") as own,
        landmarks_for(options, models_dir) as server,
    ):
        material = search(given, SearchOptions(scratch or Path(own), tier, annotator, options.strict))
        if material.tables:
            dataset = read_table(material.tables[0], names, options.group_by, strict=options.strict)
        else:
            labels = {span.label for clip in material.clips for span in clip.spans}
            material.notes += nothing_to_rename(names or {}, labels)
            clips = [_renamed(clip, names or {}) for clip in material.clips]
            options, notes = _poses_or_windows(clips, options)
            material.notes += [*notes, *differ_in_capitals({span.label for clip in clips for span in clip.spans})]
            if options.window is not None:
                clips = [clip for clip in clips if not is_photo(clip.path)]
            finder = find or server
            prepare = finder.prepare if isinstance(finder, GraphServerLandmarks) else None
            dataset = clips_dataset(clips, with_recordings(finder, options.schema.space), options, prepare)
        return replace(dataset, warnings=(*material.notes, *dataset.warnings))


def landmarks_for(options: ClipOptions, models_dir: Path | None) -> GraphServerLandmarks:
    """What finds the landmarks that ``options`` learn from."""
    schema = options.schema
    return GraphServerLandmarks(space=schema.space, models_dir=models_dir, rate=LEARNT_RATE, hands=bool(schema.hands))


def with_recordings(find: FindLandmarks, space: str) -> FindLandmarks:
    """``find`` for videos and photos. Landmarks are read."""

    def found(path: Path, every: int) -> Track:
        return read_track(path, space, every) if is_recording(path) else find(path, every)

    return found


def _renamed(clip: LabelledClip, names: Mapping[str, str]) -> LabelledClip:
    spans = tuple(replace(span, label=names.get(span.label, span.label)) for span in clip.spans)
    return replace(clip, spans=spans)


def _poses_or_windows(clips: Sequence[LabelledClip], options: ClipOptions) -> tuple[ClipOptions, list[str]]:
    """Single poses where a class has photos only, unless the user wants windows. Notes say what that means."""
    photos = [clip for clip in clips if is_photo(clip.path)]
    if not photos or options.window is None:
        return options, []
    moving = {span.label for clip in clips if not is_photo(clip.path) for span in clip.spans}
    still = sorted({span.label for clip in photos for span in clip.spans} - moving)
    if still and options.poses_of_photos:
        have = "has" if len(still) == 1 else "have"
        note = (
            f"{listed([repr(label) for label in still])} {have} photos only, so single poses are learned, not movements"
        )
        return replace(options, window=None), [note]
    if still and options.strict:
        raise ConfigurationError("photos have no movement: learn single poses with a window of 0", option="window_ms")
    return options, [f"{counted(len(photos), 'photo')} skipped: photos have no movement (window_ms 0 learns poses)"]
