"""With its folder in ``PYTHONPATH``: the system knows the names of Python's threads, as from Python 3.14 on."""

import threading
from pathlib import Path

_run = threading.Thread._bootstrap_inner  # type: ignore[attr-defined]


def _named(thread: threading.Thread) -> None:
    Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(thread.name[:15])
    _run(thread)


threading.Thread._bootstrap_inner = _named  # type: ignore[attr-defined]
