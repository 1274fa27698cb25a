"""Labels in any script on the frame."""

import logging
import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import ImageFont, features

from stream_client import fonts
from stream_client.frames import Label
from stream_client.processing.overlay import draw_label
from tests.support.missing import missing

GRAY = np.full((60, 400, 3), 128, np.uint8)


def drawn(name: str) -> bytes:
    return draw_label(GRAY, Label(name, 0.9, {name: 0.9})).tobytes()


@pytest.fixture(autouse=True)
def no_memory() -> None:
    fonts._file_for.cache_clear()


@pytest.mark.parametrize("name", ["standing", "grüßen", "čekání", "сидит", "κάθομαι", "יושב", "جلوس"])
def test_the_packages_font_has_the_scripts_of_europe_and_the_near_east(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    font = fonts.font_for(name, 24)
    assert Path(str(font.path)).parent == Path(fonts.__file__).parent
    assert "no font" not in caplog.text
    assert drawn(name) != drawn("\U0010ffff" * len(name))


def test_two_labels_are_never_drawn_alike() -> None:
    names = ["ü", "ß", "ж", "я", "ج", "ب", "ω", "א"]
    assert len({drawn(name) for name in names}) == len(names)


def test_other_scripts_are_taken_from_the_systems_fonts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if shutil.which("fc-list") is None:
        missing("fc-list", "apt-get install fontconfig")
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    (tmp_path / "fonts.conf").write_text(
        f"<?xml version='1.0'?><fontconfig><dir>{folder}</dir><cachedir>{tmp_path}</cachedir></fontconfig>"
    )
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "fonts.conf"))
    font = fonts.font_for("∑ 90 %", 24)
    assert Path(str(font.path)).parent == folder
    assert not caplog.records


def test_a_label_that_no_font_has_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "fonts.conf").write_text("<?xml version='1.0'?><fontconfig/>")
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "fonts.conf"))
    for _ in range(3):
        drawn("立つ")
    assert caplog.text.count("no font has") == 1


def test_arabic_is_shaped_where_the_library_can_and_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if features.check("raqm"):
        joined = fonts.font_for("جلوس", 24)
        plain = ImageFont.truetype(str(joined.path), 24, layout_engine=ImageFont.Layout.BASIC)
        assert joined.getlength("جلوس") < plain.getlength("جلوس")
        assert not caplog.records
    monkeypatch.setattr(features, "check", lambda name: False)
    fonts._file_for.cache_clear()
    with caplog.at_level(logging.WARNING):
        fonts.font_for("جلوس", 24)
    assert "without shaping" in caplog.text
