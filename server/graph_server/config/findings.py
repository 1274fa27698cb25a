"""What OVMS would refuse of a configuration, or read otherwise than one may think."""

from dataclasses import dataclass
from typing import Literal

Effect = Literal["refused", "read otherwise", "note"]
"""``refused``: that entry, or the whole file, is not served. ``note``: nothing is wrong by itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark about an entry. ``since``: the version of OVMS from which it is so, empty for all that are known.

    ``status``: OVMS's name of what loading ends with (src/status.hpp), empty where it goes on without an error.
    """

    place: str
    effect: Effect
    reason: str
    since: str = ""
    status: str = ""

    def __str__(self) -> str:
        since = f" (OVMS since {self.since})" if self.since else ""
        return f"{self.place}: {self.effect}: {self.reason}{since}"
