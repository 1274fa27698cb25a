"""The report of a training: one file, without requests, which shows the mistakes."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream_client.sources.file import FileSource
from stream_client.training.dataset import Dataset
from stream_client.training.estimators import scores_of
from stream_client.training.grouping import Origin
from stream_client.training.held_out import HeldOut
from stream_client.training.page import Page, page_html
from stream_client.training.skeletons import data_uri, on_frame
from stream_client.training.strips import StripOptions, worst_mistakes
from tests.client.training.movements import waving
from tests.client.training.test_onnx_export import dataset
from tests.support.browser import browser_page
from tests.support.video import write_video

EVIL = "<script>alert(1)</script>"


def judged(clip: str = "") -> tuple[Dataset, HeldOut]:
    """Every tenth row of label 0 is taken for label 1, of high confidence."""
    data = dataset(2, 12)
    origins = tuple(Origin(f"clip {row // 4}", 0.0, row * 20_000, row * 20_000 + 500_000, clip) for row in range(160))
    data = replace(data, labels=("a", EVIL), origins=origins)
    probabilities = np.full((160, 2), 0.1)
    probabilities[np.arange(160), data.targets] = 0.9
    probabilities[:100:10] = probabilities[:100:10, ::-1]
    scores = scores_of("x", data, [(np.arange(160), probabilities)])
    return data, HeldOut.of(data, scores, None)


def test_the_page_asks_no_other_host_and_trusts_no_name() -> None:
    data, held_out = judged()
    page = Page("model <1>", [("accuracy", "90 %")], ["note & more"], "", worst_mistakes(data, held_out, None))
    text = page_html(page, data, held_out)
    assert EVIL not in text
    assert "model &lt;1&gt;" in text
    assert not re.search(r"""(?:src|href)=["'](?!data:)|url\(|@import|https?://""", text)
    assert "default-src 'none'" in text
    assert text.count('class="mistake"') == 10
    assert "93.8%" in text  # 150 of 160 rows are right: clip by clip, and recall of both labels


@pytest.mark.parametrize("pictures", [True, False])
def test_a_mistake_is_a_strip_of_the_clips_frames_or_of_skeletons_alone(tmp_path: Path, pictures: bool) -> None:
    clip = write_video(tmp_path / "clip.mp4", frames=60, rate=25)
    data, held_out = judged(str(clip))
    options = StripOptions(lambda path, every: waving("left"), pictures)
    mistakes = worst_mistakes(data, held_out, options)
    assert len(mistakes) == 2  # of 1.8 s, a second apart
    assert mistakes[0].where == f"{clip}, 0.00 to 0.50 s"
    assert len(mistakes[0].images) == 5
    assert all(image.startswith("data:image/jpeg;base64,") for image in mistakes[0].images)
    clip.unlink()
    gone = worst_mistakes(data, held_out, options)
    assert [len(mistake.images) for mistake in gone] == ([0, 0] if pictures else [5, 5])


def test_a_skeleton_stands_on_the_frame_of_its_time_where_landmarks_are_of_every_second_frame(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", frames=60, rate=25)
    data, held_out = judged(str(clip))
    track = replace(waving("left"), timestamps=np.arange(250) * 80_000)
    source = FileSource(clip)
    source.open()
    frames = {frame.timestamp: frame.image for frame in iter(source.read, None)}
    source.close()
    mistakes = worst_mistakes(data, held_out, StripOptions(lambda path, every: track))
    assert mistakes[1].where == f"{clip}, 1.00 to 1.50 s"
    times = [960_000, 1_120_000, 1_280_000, 1_360_000, 1_520_000]  # those nearest to five equal steps
    expected = [data_uri(on_frame(frames[time], track.person(time // 80_000))) for time in times]
    assert list(mistakes[1].images) == expected


def test_the_report_opens_in_a_browser_without_a_request(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", frames=60, rate=25)
    data, held_out = judged(str(clip))
    mistakes = worst_mistakes(data, held_out, StripOptions(lambda path, every: waving("left")))
    report = tmp_path / "report.html"
    report.write_text(page_html(Page("model", [("accuracy", "90 %")], ["a note"], "", mistakes), data, held_out))
    with browser_page() as page:
        asked: list[str] = []
        refused: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: refused.append(message.text))
        page.goto(report.as_uri())
        shown = page.evaluate("[...document.images].map(image => image.complete && image.naturalWidth > 0)")
        assert len(shown) >= 10
        assert all(shown)
        assert page.locator(".mistake").count() == 2
        assert page.get_by_text(EVIL).count() > 0  # as text
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert refused == []  # what the page's own policy forbids is said there
