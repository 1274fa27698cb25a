"""The settings of a stream as a model of pydantic: it checks requests, describes the API and makes the page's form."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from stream_client.events.options import EventOptions
from stream_client.options import ClassifierOptions, RunOptions, StreamOptions
from stream_client.processing.options import PrivacyOptions
from stream_client.publishing.options import SinkOptions
from stream_client.recording.options import RecordingOptions
from stream_client.sources.options import SourceOptions
from stream_client.tracking.options import DetectionOptions
from stream_client.transport.options import TransportOptions
from stream_client.util.settings import Setting, Settings, settings

_GROUPS: dict[str, type] = {
    "stream": StreamOptions,
    "source": SourceOptions,
    "outputs": SinkOptions,
    "recording": RecordingOptions,
    "classifier": ClassifierOptions,
    "detections": DetectionOptions,
    "events": EventOptions,
    "privacy": PrivacyOptions,
    "servable": TransportOptions,
    "run": RunOptions,
}
_WITHHELD = ("grpc_address", "connect_timeout", "shared_memory", "allow_pickle", "stream_name")
"""The application's own server, what would run code of a file, and a name beside the one that a stream has here."""
_TEXTS = ("events",)
"""What may be many lines: rules themselves."""
_LONGEST, _LONGEST_TEXT = 2000, 20_000
_MOST_OUTPUTS = 8
MAX_NAME = 100
_Text = Annotated[str, Field(max_length=_LONGEST)]
_LongText = Annotated[str, Field(max_length=_LONGEST_TEXT)]
_SCALAR: dict[type, Any] = {bool: bool, int: int, float: float}


class StreamForm(BaseModel):
    """Base of :class:`StreamRequest`, which has a field for each setting."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    def given(self) -> Settings:
        """The settings that were given, without the stream's name."""
        return {name: value for name, value in self.model_dump(exclude={"name"}).items() if value is not None}


def _fields() -> Iterator[tuple[str, Any]]:
    about = "what to call the stream; by default what it reads"
    yield "name", (str | None, Field(default=None, description=about, max_length=MAX_NAME))
    for group, options in _GROUPS.items():
        for each in settings(options):
            if each.name not in _WITHHELD:
                yield each.name, _field(each, group)


def _field(each: Setting, group: str) -> tuple[Any, Any]:
    """Numbers are in the user's unit. ``None`` is as good as not given."""
    shown = {"group": group, "unit": each.unit, "otherwise": each.otherwise, "placeholder": each.metavar}
    extra: Any = {name: text for name, text in shown.items() if text}
    extra["shown_default"] = each.shown_default if isinstance(each.shown_default, bool | int | float | str) else None
    if each.repeated:
        extra["lines"] = each.name in _TEXTS
        item = Field(default=None, description=each.help, max_length=_MOST_OUTPUTS, json_schema_extra=extra)
        return (list[_LongText] | None if extra["lines"] else list[_Text] | None), item
    if each.name == "input_stream":
        return _Text, Field(description=each.help, json_schema_extra=extra)
    if each.choices:
        return Literal[each.choices] | None, Field(default=None, description=each.help, json_schema_extra=extra)
    kind = _SCALAR.get(each.kind, _Text)
    if each.words:
        kind = kind | Literal[each.words]
    return kind | None, Field(default=None, description=each.help, json_schema_extra={**extra, **_range(each)})


def _range(each: Setting) -> dict[str, float]:
    """For the form; the setting itself checks its values."""
    limits = {"least": each.minimum, "most": each.maximum, "above": each.above}
    return {name: limit * each.scale for name, limit in limits.items() if limit is not None}


if TYPE_CHECKING:

    class StreamRequest(StreamForm):
        """The settings of a run, by their names and in their units, as its flags have them."""

        name: str | None
else:
    StreamRequest = create_model("StreamRequest", __base__=StreamForm, **dict(_fields()))
    StreamRequest.__doc__ = "The settings of a run, by their names and in their units, as its flags have them."
