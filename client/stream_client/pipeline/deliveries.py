"""Whether some output took a result: only then is its frame delivered."""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Open:
    outputs: int
    taken: bool = False


class Deliveries:
    """Follows each result through its outputs, by the index of its frame. Safe from any thread.

    ``on_delivered`` is called once the first output has taken a result, ``on_not_taken`` once the last has not.
    """

    def __init__(self, on_delivered: Callable[[], None], on_not_taken: Callable[[], None]) -> None:
        self._on_delivered = on_delivered
        self._on_not_taken = on_not_taken
        self._lock = threading.Lock()
        self._open: dict[int, _Open] = {}

    def handed(self, index: int, outputs: int) -> None:
        """A result goes to this number of outputs. If it is 0, the callbacks have taken it."""
        if not outputs:
            self._on_delivered()
            return
        with self._lock:
            self._open[index] = _Open(outputs)

    def ended(self, index: int, *, taken: bool) -> None:
        """One of its outputs has taken it, or will not."""
        with self._lock:
            result = self._open[index]
            first = taken and not result.taken
            result.taken |= taken
            result.outputs -= 1
            if not result.outputs:
                del self._open[index]
            none = not result.outputs and not result.taken
        if first:
            self._on_delivered()
        elif none:
            self._on_not_taken()
