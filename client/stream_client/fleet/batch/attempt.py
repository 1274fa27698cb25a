"""One attempt at a video. The newest one counts: an older one may still run on a machine that was lost."""

import os
import secrets
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from stream_client.fleet.batch.manifest import SUFFIXES, Record, ResultFolder, write_whole
from stream_client.fleet.batch.options import Kind


class Attempt:
    """A folder for drafts, inside of that of the results. A context manager: at its end the drafts are gone."""

    def __init__(self, folder: ResultFolder, key: str) -> None:
        self._folder = folder
        self._name = secrets.token_hex(8)
        self.path = folder.work / key / self._name

    def __enter__(self) -> "Attempt":
        self.path.mkdir(parents=True)
        write_whole(self._newest, self._name)
        return self

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def counts(self) -> bool:
        """Whether no newer attempt has begun, and the batch has not ended."""
        try:
            return self._newest.read_text(encoding="utf-8") == self._name
        except OSError:
            return False

    def draft(self, kind: Kind) -> Path:
        """The file of a result that is not complete yet."""
        return self.path / f"{kind}{SUFFIXES[kind]}"

    def publish(self, record: Record, kinds: Iterable[Kind]) -> None:
        """Move the results into place, then the record; nothing where a newer attempt counts."""
        drafts = {self._folder.place(kind, record.key): self.draft(kind) for kind in kinds}
        for draft in drafts.values():
            _store(draft)
        if self.counts:
            for place, draft in drafts.items():
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(draft, place)
            self._folder.write(record)

    def give_up(self, record: Record) -> None:
        """Store the record of a failure, unless a newer attempt counts."""
        if self.counts:
            self._folder.write(record)

    @property
    def _newest(self) -> Path:
        return self.path.parent / "newest"


def _store(file: Path) -> None:
    """A record must not outlive its results where a machine loses its power."""
    with file.open("rb") as opened, suppress(OSError):  # some shared folders cannot
        os.fsync(opened.fileno())
