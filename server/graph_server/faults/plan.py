"""Faults to inject at the service's edge, so that clients can be tested: what was asked for, and the pure core.

Nothing here waits or owns a thread; time is an argument. :mod:`graph_server.faults.interceptor` is the shell.
"""

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graph_server.errors import ConfigError

HELP = (
    "delay=MS: each response is late by that; rate=N: at most N requests a second enter, from all clients; "
    "drop=P, duplicate=P, error=P: with that probability a response is lost, comes twice, or is an error; "
    "close_after=N: a call ends UNAVAILABLE after N responses; reorder[=P]: neighbours change places"
)

REORDER_HOLD = 0.1
"""A response that waits to be overtaken goes after this many seconds if none comes: its client may wait for it."""


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """``delay`` in seconds, ``rate`` in requests a second (0: no bound), ``close_after`` in responses (0: never).

    The others are probabilities. The same ``seed`` and the same order of calls give the same faults.
    """

    delay: float = 0.0
    rate: float = 0.0
    drop: float = 0.0
    error: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    close_after: int = 0
    seed: int = 0

    @property
    def any(self) -> bool:
        """Whether anything was asked for."""
        return replace(self, seed=0) != NO_FAULTS


NO_FAULTS = FaultOptions()


def parse_faults(texts: Sequence[str], seed: int = 0) -> FaultOptions:
    """Options from ``name=value`` texts; the last of a name counts. Raises :class:`ConfigError`."""
    options = FaultOptions(seed=seed)
    for text in texts:
        name, _, value = text.partition("=")
        match name:
            case "delay":
                options = replace(options, delay=_number(text, value, "milliseconds") / 1000)
            case "rate":
                options = replace(options, rate=_number(text, value, "requests a second"))
            case "drop":
                options = replace(options, drop=_probability(text, value))
            case "error":
                options = replace(options, error=_probability(text, value))
            case "duplicate":
                options = replace(options, duplicate=_probability(text, value))
            case "reorder":
                options = replace(options, reorder=_probability(text, value or "0.5"))
            case "close_after":
                if not value.isdecimal() or int(value) < 1:
                    raise ConfigError(f"{text}: a number of responses from 1 is expected", option="fault")
                options = replace(options, close_after=int(value))
            case _:
                raise ConfigError(
                    f"{text}: choose from delay=MS, rate=N, drop=P, error=P, duplicate=P, reorder[=P], close_after=N",
                    option="fault",
                )
    return options


def _number(text: str, value: str, unit: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ConfigError(f"{text}: a number of {unit} is expected, not {value!r}", option="fault")
    return number


def _probability(text: str, value: str) -> float:
    number = _number(text, value, "probability")
    if number > 1:
        raise ConfigError(f"{text}: a probability from 0 to 1 is expected, not {value!r}", option="fault")
    return number


class FaultLine:
    """The responses of one session on their way to the client: what goes in with :meth:`add` comes out, in part,
    with :meth:`pop`, when it is due. Times are seconds of any monotonic clock.
    """

    def __init__(self, options: FaultOptions, chance: random.Random, error: bytes) -> None:
        self._options = options
        self._chance = chance
        self._error = error
        self._due: deque[tuple[float, bytes]] = deque()
        self._held: tuple[float, bytes] | None = None
        self._popped = 0
        self.bytes = 0
        """What is inside."""

    @property
    def closed(self) -> bool:
        """Whether ``close_after`` responses have gone: nothing else will."""
        return bool(self._options.close_after) and self._popped >= self._options.close_after

    def add(self, response: bytes, now: float) -> None:
        """A response is ready."""
        options, chance = self._options, self._chance
        # Every draw is made for every response, so that one fault's probability does not move another's dice.
        dropped, failed, twice, overtaken = (
            chance.random() < bound for bound in (options.drop, options.error, options.duplicate, options.reorder)
        )
        if dropped:
            return
        due = now + options.delay
        response = self._error if failed else response
        if overtaken and self._held is None:
            self._held = (due + REORDER_HOLD, response)
            self.bytes += len(response)
            return
        for _ in range(2 if twice else 1):
            self._put(due, response)
        if self._held is not None:
            held, self._held = self._held[1], None
            self.bytes -= len(held)
            self._put(due, held)

    def end(self, now: float) -> None:
        """No response will follow: nothing waits to be overtaken."""
        if self._held is not None:
            due, held = self._held
            self._held = None
            self.bytes -= len(held)
            self._put(min(due, now + self._options.delay), held)

    def next_due(self) -> float | None:
        """When :meth:`pop` will give something; ``None``: not before the next :meth:`add`."""
        times = [self._due[0][0]] if self._due else []
        if self._held is not None:
            times.append(self._held[0])
        return min(times, default=None)

    def pop(self, now: float) -> bytes | None:
        """The next response that is due, if one is."""
        if self.closed:
            return None
        if self._due and self._due[0][0] <= now:
            response = self._due.popleft()[1]
        elif self._held is not None and self._held[0] <= now:
            response, self._held = self._held[1], None
        else:
            return None
        self.bytes -= len(response)
        self._popped += 1
        return response

    def _put(self, due: float, response: bytes) -> None:
        self._due.append((due, response))
        self.bytes += len(response)
