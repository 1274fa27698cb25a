"""From what a user names to a dataset."""

from collections.abc import Mapping
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.training.clips import LandmarkFinder, find_clips
from stream_client.training.dataset import Dataset
from stream_client.training.landmarks import GraphServerLandmarks
from stream_client.training.tables import read_table
from stream_client.training.windows import ClipOptions, clips_dataset


def load_dataset(
    data: Path,
    options: ClipOptions | None = None,
    *,
    names: Mapping[str, str] | None = None,
    models_dir: Path | None = None,
    find: LandmarkFinder | None = None,
) -> Dataset:
    """The samples of ``data``: a table, an annotation file or a folder of clips.

    ``names`` renames the classes of a table. ``models_dir`` is the graph server's model repository. ``find`` replaces
    the graph server. Raises :class:`~stream_client.errors.StreamClientError`.
    """
    options = options or ClipOptions()
    if not data.exists():
        raise ConfigurationError(f"{data} does not exist", option="data")
    if data.suffix.lower() == ".csv":
        return read_table(data, names, options.group_by)
    with GraphServerLandmarks(space=options.schema.space, models_dir=models_dir) as server:
        return clips_dataset(find_clips(data), find or server, options)
