"""``streams.toml``: the streams of a fleet, each a run's settings under a name."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.options import StreamOptions
from stream_client.run_files import check_files, files_written
from stream_client.run_settings import check_names
from stream_client.util.redact import redact
from stream_client.util.settings import Settings, read
from stream_client.util.toml import parse_toml
from stream_client.util.urls import split_credentials

_NAME = re.compile(r"[\w][\w .-]{0,63}")
_LARGEST = 1 << 20
_TABLES = ("defaults", "streams")
_ON = "on"
"""The one key of a stream that is no setting of its run."""
_LABEL = re.compile(r"[A-Za-z0-9](?:[\w./-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """A stream: its name, and the settings of its run, with the defaults. ``on`` are labels that its node must have."""

    name: str
    settings: Settings
    on: Mapping[str, str] = field(default_factory=dict)


def read_plans(path: Path) -> tuple[StreamPlan, ...]:
    """The streams of a file; raises :class:`.ConfigurationError` with the stream and the setting."""
    return plans_of(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a file; raises :class:`.ConfigurationError`."""
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    if len(text) > _LARGEST:
        raise ConfigurationError(f"{path} is larger than {_LARGEST >> 20} MiB")
    try:
        return text.decode("utf-8-sig")
    except UnicodeError as error:
        raise ConfigurationError(f"{path} is no TOML: {error}") from error


def plans_of(text: str, where: str) -> tuple[StreamPlan, ...]:
    """The streams of a file's text; raises as :func:`read_plans`."""
    try:
        document = parse_toml(text, "fleet")
    except ValueError as error:
        raise ConfigurationError(f"{where} is no TOML: {error}") from error
    return parse_plans(document, where)


def check_stream(name: str, plans: Iterable[StreamPlan], option: str | None = None) -> None:
    """Raise :class:`.ConfigurationError` for a stream that is not among ``plans``; ``option`` is where it was named."""
    names = [plan.name for plan in plans]
    if name not in names:
        near = get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise ConfigurationError(f"there is no stream {name!r} in the file; {hint}"[:500], option=option)


def parse_plans(document: Mapping[str, object], where: str) -> tuple[StreamPlan, ...]:
    """The streams of a document with the tables ``defaults`` and ``streams``."""
    for table in document:
        if table not in _TABLES:
            near = get_close_matches(table, _TABLES, 1)
            hint = f"; did you mean [{near[0]}]?" if near else ": [defaults] and [streams.NAME] are"
            raise ConfigurationError(f"{where}: [{table}] is no table of a fleet{hint}")
    defaults = _table(document.get("defaults", {}), f"{where}: [defaults]")
    streams = _table(document.get("streams", {}), f"{where}: [streams]")
    if not streams:
        raise ConfigurationError(f"{where} has no stream: add [streams.NAME] with an input_stream")
    labels = _labels(defaults, f"{where}: [defaults]")
    _checked(_settings(defaults), f"{where}: [defaults]")
    plans = []
    for name, given in streams.items():
        place = f"{where}: stream {name!r}"
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{place}: a name has up to 64 letters, digits, spaces, dots and dashes")
        own = _table(given, place)
        settings = {**_settings(defaults), **_settings(own)}
        _checked(settings, place)
        plans.append(StreamPlan(name, _filled(settings, name), {**labels, **_labels(own, place)}))
    _check_outputs(plans)
    return tuple(plans)


def _table(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where} is no table")
    return value


def _settings(given: Mapping[str, object]) -> Settings:
    return {name: value for name, value in given.items() if name != _ON}


def _labels(given: Mapping[str, object], where: str) -> Mapping[str, str]:
    labels = _table(given.get(_ON, {}), f"{where}: {_ON}")
    for name, value in labels.items():
        if not isinstance(value, str) or not _LABEL.fullmatch(value) or not _LABEL.fullmatch(name):
            raise ConfigurationError(f'{where}: {_ON} has labels of nodes and their values, as {{site = "north"}}')
    return {name: str(value) for name, value in labels.items()}


def _checked(settings: Settings, where: str) -> None:
    try:
        check_names(settings)
        if "input_stream" in settings:
            check_files(_as_text(settings))
        elif where.endswith("[defaults]"):
            return
        else:
            raise ConfigurationError("it names no input_stream")
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error.message}", option=error.option) from error


def _filled(settings: Settings, name: str) -> Settings:
    """``{stream}`` in a text is the stream's name, so that outputs can be among the defaults."""

    def fill(value: object) -> object:
        if isinstance(value, str):
            return value.replace("{stream}", name)
        return [fill(each) for each in value] if isinstance(value, list) else value

    return {"stream_name": name, **{key: fill(value) for key, value in _as_text(settings).items()}}


def _as_text(settings: Settings) -> dict[str, object]:
    """A camera's number is a text in the settings of a run."""
    source = settings.get("input_stream")
    return {**settings, "input_stream": str(source)} if isinstance(source, int) else dict(settings)


def _check_outputs(plans: Iterable[StreamPlan]) -> None:
    users: dict[str, str] = {}
    for plan in plans:
        outputs = [str(path.resolve()) for _, path in files_written(plan.settings)]
        outputs += [
            split_credentials(each)[0] for each in read(StreamOptions, plan.settings).output_stream if "://" in each
        ]
        for output in outputs:
            if output in users:
                raise ConfigurationError(
                    f"streams {users[output]!r} and {plan.name!r} both write {redact(output)}: "
                    "put {stream} into the name",
                    option="output_stream",
                )
            users[output] = plan.name
