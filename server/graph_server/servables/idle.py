"""Groups of servables. One group is loaded at a time, and no longer than it is used.

Source: src/servable_management/servable_group_manager.cpp and modelmanager.cpp of OVMS 2026.4.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from graph_server.errors import GraphServerError

logger = logging.getLogger(__name__)

PERMANENT = "permanent"
"""The name of the group that always stays loaded."""
DRAIN_SECONDS = 30.0
"""How long a request waits until the requests to another group have ended."""


class GroupBusyError(GraphServerError):
    """Another group was used for too long."""


class IdleGroups:
    """Knows which servables are loaded, and loads and unloads them by groups. Safe from several threads.

    A request for another group waits until the loaded group has no requests. What is not in a group stays loaded.
    """

    def __init__(
        self,
        timeout: float,
        wake: Callable[[str], None],
        sleep: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``timeout``: seconds without a new request until the loaded group is unloaded.

        ``wake`` loads a servable and ``sleep`` unloads it. They are called one at a time.
        """
        self._timeout = timeout
        self._wake, self._sleep = wake, sleep
        self._clock = clock
        self._group_of: Mapping[str, str] = {}
        self._awake: set[str] = set()
        self._active = ""
        self._begun = clock()
        self._used: Counter[str] = Counter()
        self._closed = False
        self._changed = threading.Condition()
        self._swapping = threading.Lock()

    def arrange(self, group_of: Mapping[str, str], awake: Collection[str]) -> None:
        """Take new groups, by servable, after loading. ``awake``: what stays loaded of new servables."""
        with self._swapping:
            with self._changed:
                known = self._group_of.keys()
                self._awake = {name for name in group_of if name in (self._awake if name in known else awake)}
                self._group_of = dict(group_of)
            for name in group_of.keys() - self._awake:
                self._sleep(name)

    @property
    def awake(self) -> frozenset[str]:
        """The loaded servables of groups."""
        with self._changed:
            return frozenset(self._awake)

    @contextmanager
    def use(self, name: str) -> Iterator[None]:
        """Keep a servable loaded, and load it first if need be. Raises :class:`GroupBusyError`."""
        if name not in self._group_of:
            yield
            return
        if not self._entered(name):
            with self._swapping:
                if not self._entered(name):
                    self._load(name)
        try:
            yield
        finally:
            with self._changed:
                self._used[name] -= 1
                self._changed.notify_all()

    def unload_if_idle(self) -> None:
        """Unload the loaded group if nothing was asked of it for the timeout, and nothing uses it."""
        with self._swapping:
            with self._changed:
                group = self._active
                if not group or self._clock() - self._begun < self._timeout or self._busy(group):
                    return
                self._active = ""
            logger.info("group %s is idle and unloaded", group)
            self._unload(group)

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _entered(self, name: str) -> bool:
        """Count one more use of a servable that is loaded."""
        with self._changed:
            loaded = name in self._awake and self._group_of[name] in (PERMANENT, self._active)
            if loaded:
                self._count(name)
            return loaded

    def _count(self, name: str) -> None:
        self._used[name] += 1
        self._begun = self._clock()

    def _load(self, name: str) -> None:
        """Make a servable's group the loaded one, and count its use. The servable itself is loaded first."""
        group = self._group_of[name]
        members = [name]
        if group not in (PERMANENT, self._active):
            self._drain(name)
            members += [other for other in self._members(group) if other != name]
        for member in members:
            if member not in self._awake:
                self._wake(member)
        with self._changed:
            self._awake |= set(members)
            if group != PERMANENT:
                self._active = group
            self._count(name)

    def _drain(self, name: str) -> None:
        with self._changed:
            before = self._active
            free = self._changed.wait_for(lambda: self._closed or not self._busy(before), DRAIN_SECONDS)
            if self._closed or not free:
                raise GroupBusyError(f"{name} cannot be loaded: group {before} is in use")
            self._active = ""
        if before:
            logger.info("group %s is unloaded for group %s", before, self._group_of[name])
            self._unload(before)

    def _unload(self, group: str) -> None:
        members = self._members(group)
        for member in members:
            if member in self._awake:
                self._sleep(member)
        with self._changed:
            self._awake -= set(members)

    def _members(self, group: str) -> tuple[str, ...]:
        return tuple(name for name, other in self._group_of.items() if other == group)

    def _busy(self, group: str) -> bool:
        return any(self._used[name] for name in self._members(group))
