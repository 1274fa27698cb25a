"""``analyze`` where something ends it."""

import json
from pathlib import Path
from typing import Any

import pytest

from stream_client.cli import analyze
from stream_client.review.label_statistics import VideoStatistics


@pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError])
def test_the_figures_of_videos_that_are_done_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    def analyzed(video: Path, *_: Any) -> VideoStatistics:
        if video.stem == "b":
            raise end
        return VideoStatistics()

    monkeypatch.setattr(analyze, "_analyze", analyzed)
    figures = tmp_path / "figures.json"
    with pytest.raises(end):
        analyze.run(["a.mp4", "b.mp4", "--json", str(figures), "--grpc_address", "127.0.0.1:1"])
    assert list(json.loads(figures.read_text())["videos"]) == ["a.mp4"]
