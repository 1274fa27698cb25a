"""The loop that opens a connection and opens it again when it is lost, for sources, the server and outputs."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal

from stream_client.util.retry_plan import RetryPlan

logger = logging.getLogger(__name__)

LinkState = Literal["connecting", "live", "lost"]


class Reconnector:
    """Makes attempts as a :class:`RetryPlan` says, in the thread that calls; ``stop`` ends its waits.

    ``attempt`` opens the connection and takes the seconds it may last; it raises one of ``errors`` where another
    attempt may succeed. ``refuses``: whether an error will not go away by itself. ``describe`` makes an error's
    message. ``closes``: whether an error is the server's closing of the connection; where that happens again and again,
    ``contested`` says why. Lines of the log begin with ``name``.
    """

    def __init__(
        self,
        name: str,
        attempt: Callable[[float], object],
        plan: RetryPlan,
        stop: threading.Event,
        on_state: Callable[[LinkState], None],
        *,
        errors: tuple[type[Exception], ...],
        refuses: Callable[[Exception], bool] = lambda error: False,
        describe: Callable[[Exception], str] = str,
        closes: Callable[[Exception], bool] = lambda error: False,
        contested: str = "",
    ) -> None:
        self._name = name
        self._attempt = attempt
        self._plan = plan
        self._stop = stop
        self._on_state = on_state
        self._errors = errors
        self._refuses = refuses
        self._describe = describe
        self._closes = closes
        self._contested = contested
        self._delay = 0.0
        self.last_message = ""
        """Why the last attempt failed, or the connection was lost."""

    @property
    def attempts(self) -> int:
        """Attempts that failed since the connection was live, or since the start."""
        return self._plan.attempts

    def connect_once(self) -> None:
        """Make a single attempt; raises its error."""
        now = time.monotonic()
        self._plan.begin(now)
        self._on_state("connecting")
        self._attempt(self._plan.attempt_seconds(now))
        failed = self._plan.attempts
        away = self._plan.connected(time.monotonic())
        self._delay = 0.0
        self._on_state("live")
        if away is not None:
            attempts = f", {failed} attempts failed" if failed > 1 else ""
            logger.warning("%s live again after %.1f s%s", self._name, away, attempts)

    def connect(self) -> bool:
        """Make attempts until one succeeds; after a loss, wait first. ``False`` when stopped.

        Raises the error of the last attempt when there is no point in another one.
        """
        while not (self._delay and self._stop.wait(self._delay)):
            try:
                self.connect_once()
            except self._errors as error:
                if self._stop.is_set():
                    return False
                message = self.last_message = self._describe(error)
                retry = self._plan.failed(message, time.monotonic(), refused=self._refuses(error))
                if retry is None:
                    raise
                if retry.log:
                    logger.warning("%s: %s; trying again", self._name, message)
                self._delay = retry.delay
            else:
                return True
        return False

    def has_worked(self) -> None:
        """The connection has done what it is for: after its loss the next attempt comes soon."""
        self._plan.has_worked()

    def lost(self, error: Exception) -> bool:
        """The connection broke with ``error``; :meth:`connect` makes the next attempt. ``False``: there is none."""
        retry = self._plan.lost(time.monotonic(), closed=bool(self._contested) and self._closes(error))
        self._on_state("lost")
        contested = retry is not None and retry.contested
        self.last_message = self._contested if contested else self._describe(error)
        if retry is None:
            return False
        if retry.log:
            times = f" ({self._plan.losses} times in a row)" if self._plan.losses > 1 else ""
            then = f"reconnecting every {retry.delay:.0f} s at most" if contested else "reconnecting"
            logger.warning("%s lost%s: %s; %s", self._name, times, self.last_message, then)
        self._delay = retry.delay
        return True
