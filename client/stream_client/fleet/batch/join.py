"""The results of a video's parts as those of the video: frames are counted on, times are the video's already."""

import json
from collections.abc import Sequence
from pathlib import Path

from stream_client.util.arrow import arrow

_ROWS = 256
"""How many rows of Parquet are in memory."""


def join_labels(pieces: Sequence[Path], target: Path) -> None:
    """JSON Lines of :class:`.LabelsSink`."""
    following = 0
    with target.open("w", encoding="utf-8") as output:
        for piece in pieces:
            shift: int | None = None
            with piece.open(encoding="utf-8") as lines:
                for row in map(json.loads, lines):
                    shift = following - row["frame"] if shift is None else shift
                    row["frame"] += shift
                    following = row["frame"] + 1
                    output.write(json.dumps(row, ensure_ascii=False) + "\n")


def join_landmarks(pieces: Sequence[Path], target: Path) -> None:
    """Parquet of :class:`.LandmarksSink`."""
    pyarrow, parquet = arrow("results")
    schema, following = parquet.read_schema(pieces[0]), 0
    with parquet.ParquetWriter(target, schema) as writer:
        for piece in pieces:
            shift: int | None = None
            with parquet.ParquetFile(piece) as file:
                for batch in file.iter_batches(_ROWS):
                    frames = batch.column("frame").to_numpy()
                    shift = following - int(frames[0]) if shift is None else shift
                    following = int(frames[-1]) + shift + 1
                    columns = {name: batch.column(name) for name in schema.names}
                    columns["frame"] = pyarrow.array(frames + shift)
                    writer.write_table(pyarrow.table(columns, schema=schema))
