"""The options of injected faults, and how they are written on the command line."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graph_server.errors import ConfigError

HELP = (
    "delay=MS: delay each response by MS milliseconds; rate=N: take at most N requests a second from all clients; "
    "drop=P, duplicate=P, error=P: drop a response, send it twice or replace it by an error, with probability P; "
    "close_after=N: end a call with UNAVAILABLE after N responses; reorder[=P]: swap a response with the next one"
)


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """The faults to inject. ``drop``, ``error``, ``duplicate`` and ``reorder`` are probabilities.

    ``delay`` is in seconds, ``rate`` in requests a second (0: no limit), ``close_after`` in responses (0: never). The
    same ``seed`` and the same order of calls give the same faults.
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
        """Whether there is any fault to inject."""
        return replace(self, seed=0) != NO_FAULTS


NO_FAULTS = FaultOptions()


def parse_faults(texts: Sequence[str], seed: int = 0) -> FaultOptions:
    """Read ``name=value`` texts. The last value of a name counts. Raises :class:`ConfigError`."""
    options = FaultOptions(seed=seed)
    for text in texts:
        name, _, value = text.partition("=")
        match name:
            case "delay":
                options = replace(options, delay=_number(text, value, "MS") / 1000)
            case "rate":
                options = replace(options, rate=_number(text, value, "N"))
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
                    raise ConfigError(f"{text}: N must be a whole number of at least 1", option="fault")
                options = replace(options, close_after=int(value))
            case _:
                raise ConfigError(
                    f"{text}: choose from delay=MS, rate=N, drop=P, error=P, duplicate=P, reorder[=P], close_after=N",
                    option="fault",
                )
    return options


def _number(text: str, value: str, name: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ConfigError(f"{text}: {name} must be a number of at least 0", option="fault")
    return number


def _probability(text: str, value: str) -> float:
    number = _number(text, value, "P")
    if number > 1:
        raise ConfigError(f"{text}: P must be a probability from 0 to 1", option="fault")
    return number
