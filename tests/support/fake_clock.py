"""A wall clock that can be set, for processes of a test: libfaketime's. Their monotonic clock goes on."""

from pathlib import Path

from tests.support.missing import missing


class FakeClock:
    """``environment`` is for the processes that have this clock; ``file`` holds its offset."""

    def __init__(self, file: Path) -> None:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        if library is None:
            missing("libfaketime", "apt-get install faketime")
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            # Without, each look at any clock opens the file: ten times what a relay costs.
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.set(0)

    def set(self, offset: int) -> None:
        """Within a second the clock is ``offset`` seconds before or after the machine's."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset:+d}\n")
        new.replace(self._file)
