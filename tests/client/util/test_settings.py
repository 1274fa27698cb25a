"""Settings are declared once; flags, files and forms are made from the declaration."""

from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from stream_client.benchmark.options import BenchmarkOptions
from stream_client.classify.decision import DecisionOptions
from stream_client.embedded import EmbeddedOptions
from stream_client.errors import ConfigurationError
from stream_client.monitoring.options import MetricsOptions
from stream_client.options import ClassifierOptions, RunOptions, StreamOptions
from stream_client.publishing.options import SinkOptions
from stream_client.sources.options import SourceOptions
from stream_client.transport.options import TlsOptions, TransportOptions
from stream_client.util.settings import check, read, setting, settings

ALL = (
    BenchmarkOptions,
    ClassifierOptions,
    DecisionOptions,
    EmbeddedOptions,
    MetricsOptions,
    RunOptions,
    SinkOptions,
    SourceOptions,
    StreamOptions,
    TlsOptions,
    TransportOptions,
)


@dataclass(frozen=True, slots=True)
class Oven:
    """Options of no use."""

    dish: str = field(metadata=setting("what to bake"))
    heat: int = field(default=180, metadata=setting("heat", unit="degrees", minimum=50, maximum=250))
    time: float | None = field(default=None, metadata=setting("time", unit="min", scale=1 / 60, above=0))
    shelf: int | Literal["auto"] = field(default="auto", metadata=setting("shelf", minimum=1))
    mode: Literal["fan", "grill"] = field(default="fan", metadata=setting("mode", name="oven_mode"))
    book: Path | None = field(default=None, metadata=setting("recipe"))
    spices: tuple[str, ...] = field(default=(), metadata=setting("spices"))
    hot: bool = field(default=True, metadata=setting("heat before", off="start cold"))
    maker: str = "none"

    def __post_init__(self) -> None:
        check(self)


def test_a_declaration_says_all_that_a_flag_or_a_form_needs() -> None:
    found = {each.name: each for each in settings(Oven)}
    assert list(found) == ["dish", "heat", "time", "shelf", "oven_mode", "book", "spices", "hot"]
    assert (found["dish"].kind, found["dish"].default) == (str, MISSING)
    heat = found["heat"]
    assert (heat.kind, heat.default, heat.range, heat.unit, heat.help) == (int, 180, "50 to 250", "degrees", "heat")
    assert (found["shelf"].kind, found["shelf"].words, found["shelf"].range) == (int, ("auto",), "1 or more, or auto")
    assert (found["oven_mode"].field, found["oven_mode"].choices) == ("mode", ("fan", "grill"))
    assert (found["book"].kind, found["spices"].kind, found["spices"].repeated) == (Path, str, True)
    assert (found["hot"].kind, found["hot"].off) == (bool, "start cold")


def test_options_are_read_by_the_names_that_users_know() -> None:
    given = {"dish": "pie", "time": 3, "oven_mode": "grill", "book": "pies.txt", "spices": ["salt"], "other": 1}
    assert read(Oven, given, maker="me") == Oven(
        "pie", time=180.0, mode="grill", book=Path("pies.txt"), spices=("salt",), maker="me"
    )


def test_none_is_as_good_as_not_given() -> None:
    assert read(Oven, {"dish": "pie", "heat": None}) == Oven("pie")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"heat": 300}, "300 degrees is out of range: 50 to 250 (heat)"),
        ({"heat": 99.5}, "99.5 is not a whole number (heat)"),
        ({"heat": True}, "True is not a whole number (heat)"),
        ({"time": 0}, "0 min is out of range: above 0 (time)"),
        ({"time": float("nan")}, "nan min is out of range: above 0 (time)"),
        ({"time": float("inf")}, "inf min is out of range: at most 1000000000 (time)"),
        ({"time": "long"}, "'long' is not a number (time)"),
        ({"shelf": 0}, "0 is out of range: 1 or more, or auto (shelf)"),
        ({"shelf": "top"}, "'top' is not a whole number, nor auto (shelf)"),
        ({"oven_mode": "steam"}, "'steam' is none of fan, grill (oven_mode)"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_option(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(Oven, {"dish": "pie", **given})
    assert str(caught.value) == message


def test_every_setting_has_one_owner_and_a_help() -> None:
    every = [each for options in ALL for each in settings(options)]
    names = [each.name for each in every]
    assert len(names) == len(set(names))
    assert all(each.help for each in every)
    assert all(each.off for each in every if each.kind is bool and each.default is True)


@pytest.mark.parametrize("options", [options for options in ALL if options is not StreamOptions])
def test_every_default_is_in_its_range(options: type) -> None:
    for each in settings(options):
        each.check(each.default)
