"""Options of benchmark mode."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stream_client.errors import ConfigurationError
from stream_client.util.settings import check, setting


@dataclass(frozen=True, slots=True)
class BenchmarkOptions:
    """What is measured, until when, and where the report goes. ``benchmark_window`` is in seconds."""

    report: Path | None = field(
        default=None, metadata=setting("write the report as JSON, and as CSV beside it", metavar="FILE")
    )
    warmup_frames: int = field(default=20, metadata=setting("results to leave out at the beginning", minimum=0))
    benchmark_window: float = field(
        default=2.0, metadata=setting("length of a window for stability", unit="s", above=0)
    )
    benchmark_until: Literal["stable", "end"] | None = field(
        default=None,
        metadata=setting(
            "end when three windows agree within 10 %, or at the end of the source or a limit only",
            otherwise="stable, but end where a file is written",
        ),
    )

    def __post_init__(self) -> None:
        check(self)
        if self.report is not None and self.report.suffix == ".csv":
            raise ConfigurationError("a report names the JSON file; the CSV file is written beside it", option="report")
        if self.report is not None and not self.report.parent.is_dir():
            raise ConfigurationError(
                f"there is no folder {self.report.parent} to write {self.report.name} into", option="report"
            )
