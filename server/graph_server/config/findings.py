"""What OVMS refuses in a configuration, or reads in another way than expected."""

from dataclasses import dataclass
from typing import Literal

Effect = Literal["refused", "read otherwise", "note"]
"""``refused``: the entry, or the whole file, is not served. ``note``: worth knowing, not wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark about an entry. ``since``: the first version of OVMS for which it holds, empty for all.

    ``status``: OVMS's name of the error that loading ends with (src/status.hpp), empty without an error.
    """

    place: str
    effect: Effect
    reason: str
    since: str = ""
    status: str = ""

    def __str__(self) -> str:
        since = f" (OVMS since {self.since})" if self.since else ""
        return f"{self.place}: {self.effect}: {self.reason}{since}"
