"""Where the work of a fleet or a batch is done."""

from dataclasses import dataclass, field
from typing import Literal

from stream_client.errors import ConfigurationError
from stream_client.util.settings import check, setting

Engine = Literal["local", "ray"]
"""``local``: this machine. ``ray``: a Ray cluster."""
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """``address`` is that of a Ray cluster: ``auto``, its head, or ``ray://host:port`` of its client server."""

    engine: Engine = field(default="local", metadata=setting("work on this machine (local), or on a Ray cluster (ray)"))
    address: str | None = field(
        default=None,
        metadata=setting("the Ray cluster: auto, HOST:PORT or ray://HOST:PORT", otherwise=AUTO, metavar="ADDRESS"),
    )

    def __post_init__(self) -> None:
        check(self)
        if self.engine != "ray" and self.address is not None:
            raise ConfigurationError("an address is that of a Ray cluster", option="engine", value="ray")

    @property
    def cluster(self) -> str:
        """The address, also where none is given."""
        return self.address or AUTO
