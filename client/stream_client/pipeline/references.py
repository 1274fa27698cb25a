"""What dropped frames of H.264 leave to those that follow. No I/O, no threads."""

from collections.abc import Sequence
from dataclasses import replace

from kserve_wire.encoded import AccessUnit
from stream_client.frames import Frame

Units = tuple[AccessUnit, ...]


class References:
    """Keeps a stream decodable where frames are dropped: their access units go with the next frame that is sent.

    The server decodes them, and looks at the frame alone. Pictures that no other is made from are left out, and all
    that is before a key frame. Where frames are missing, or :attr:`LONGEST` lies between what was sent and the next
    frame, everything is dropped until a key frame: what is carried has to travel, and a late frame is worth nothing.
    Frames with pixels go through.
    """

    LONGEST = 2_000_000
    """Microseconds."""

    def __init__(self) -> None:
        self._units: Units = ()
        self._unwanted: set[int] = set()
        self._since: int | None = None
        self._broken = False
        """Whether something is missing before the next frame. What is carried then begins at a key frame."""

    def missing(self) -> None:
        """Frames are missing before the next one."""
        self._forget()
        self._broken = True

    def dropped(self, frame: Frame) -> None:
        """A frame is not sent."""
        if frame.encoded is None:
            return
        units, wanted = self._with(frame.encoded.units), frame.encoded.wanted
        start = _start(units, wanted) or 0
        if start or self._since is None:
            self._since, self._unwanted = frame.timestamp, set()
        self._unwanted.add(wanted)
        self._units = tuple(unit for unit in units[start:] if unit.is_reference or unit.number not in self._unwanted)
        if frame.timestamp - self._since > self.LONGEST:
            self.missing()

    def lead_to(self, frame: Frame) -> bool:
        """Whether the frame can be decoded, with what is carried."""
        if frame.encoded is None or not self._broken:
            return True
        return _start(self._with(frame.encoded.units), frame.encoded.wanted) is not None

    def follow(self, frame: Frame) -> Frame | None:
        """The frame with what it needs of those before it; ``None``: it cannot be decoded, and is dropped as well."""
        if frame.encoded is None or not (self._units or self._broken):
            return frame
        if not self.lead_to(frame):
            self.dropped(frame)
            return None
        units = self._with(frame.encoded.units)
        units = units[_start(units, frame.encoded.wanted) or 0 :]
        self._forget()
        self._broken = False
        return replace(frame, encoded=replace(frame.encoded, units=units))

    def _with(self, units: Units) -> Units:
        if self._broken and not self._units:
            key = next((place for place, unit in enumerate(units) if unit.is_key), len(units))
            return units[key:]
        return (*self._units, *units)

    def _forget(self) -> None:
        self._units, self._unwanted, self._since = (), set(), None


def _start(units: Sequence[AccessUnit], wanted: int) -> int | None:
    """The place of the last key frame that the wanted picture is made from, if it is among ``units``."""
    for place in reversed(range(len(units))):
        if units[place].is_key and units[place].number <= wanted:
            return place
    return None
