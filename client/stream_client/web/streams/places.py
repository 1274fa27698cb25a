"""What a stream of the API may read and write: names of files, addresses, devices."""

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stream_client.errors import ConfigurationError
from stream_client.events.read import BUILT_IN, is_text
from stream_client.publishing.factory import SCHEMES
from stream_client.sources.camera import is_camera
from stream_client.test_source.pattern import is_test_pattern
from stream_client.util.redact import redact
from stream_client.util.settings import Settings
from stream_client.util.urls import split_credentials
from stream_client.web.containers import check_video

INPUT_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "whep", "wheps", "http", "https", "onvif")
EVENT_SCHEMES = ("mqtt", "mqtts", "http", "https", "redis", "rediss", "udp")
UPLOAD = "upload:"
"""Begins the name of an uploaded file as a source, before its id."""
_PLAIN_NAME = re.compile(r"[\w][\w .()+-]{0,99}")
_LONGEST_PART, _LONGEST_PATH = 255, 4095
"""Bytes: what file systems take for one name, and for a path."""
_ENDINGS = {
    "output_stream": (".mp4", ".mov", ".mkv", ".ts", ".webm"),
    "labels_output": (".jsonl",),
    "label_changes_output": (".jsonl",),
    "landmarks_output": (".jsonl", ".parquet"),
    "events_output": (".jsonl",),
}
_SCHEMES = {"output_stream": SCHEMES, "events_output": EVENT_SCHEMES}


@dataclass(frozen=True, slots=True)
class Places:
    """``media`` is the folder of files that may be named, ``None``: no file may. ``uploads`` and ``classifiers`` are
    folders of the application's own. Without ``this_machine`` no address of this machine may be named.
    """

    media: Path | None
    uploads: Path
    classifiers: Path
    this_machine: bool

    def resolve(self, given: Settings, results: Path | None) -> dict[str, object]:
        """The settings with real paths. Plain names of outputs are files of ``results``, else below ``media``.

        Raises :class:`.ConfigurationError` or :class:`.SourceCodecError` for what may not be read or written.
        """
        found = dict(given)
        found["input_stream"] = self._source(str(given["input_stream"]))
        for option in _SCHEMES:
            found[option] = [self._output(each, option, results) for each in _listed(given, option)]
        found["events"] = [self._rules(each) for each in _listed(given, "events")]
        if given.get("events_dir") is not None or results is not None:
            found["events_dir"] = self._written(str(given.get("events_dir") or "events"), "events_dir", results)
        for name in ("labels_output", "label_changes_output", "landmarks_output"):
            if given.get(name) is not None:
                found[name] = self._output(str(given[name]), name, results)
        for name in ("labels", "classifier_schema"):
            if given.get(name) is not None:
                found[name] = str(self.file(str(given[name]), name))
        if given.get("classifier") is not None:
            found["classifier"] = self.classifier(str(given["classifier"]))
        return found

    def file(self, name: str, option: str) -> Path:
        """A file or folder below ``media``."""
        if self.media is None:
            raise ConfigurationError(
                "no path of this machine can be named: start the application with media_dir, or upload the file",
                option=option,
            )
        media = self.media.resolve()
        try:
            path = (media / name).resolve()
            known = _can_be(path)
        except (OSError, ValueError, RuntimeError):  # a zero byte, links in a circle
            known = False
        if not known:
            raise ConfigurationError(f"{name[:100]!r} is no path", option=option)
        if not path.is_relative_to(media):
            raise ConfigurationError(f"{name[:100]} is outside of media_dir", option=option)
        return path

    def upload(self, id: str) -> Path:
        """The file of an upload; raises :class:`.ConfigurationError`."""
        if re.fullmatch(r"[0-9a-f]{16}", id):
            found = next(iter(self.uploads.glob(f"{id}.*")), None)
            if found is not None:
                return found
        raise ConfigurationError("there is no such upload: upload the file again", option="input_stream")

    def _source(self, name: str) -> str:
        if is_test_pattern(name) or is_camera(name):
            return name
        if "://" in name:
            return self.address(name, INPUT_SCHEMES, "input_stream")
        path = self.upload(name.removeprefix(UPLOAD)) if name.startswith(UPLOAD) else self.file(name, "input_stream")
        if not path.is_file():
            raise ConfigurationError(f"{name[:100]!r} is no file: name one, or upload it", option="input_stream")
        check_video(path, name[:100])
        return str(path)

    def _output(self, name: str, option: str, results: Path | None) -> str:
        if name == "none" and option == "output_stream":
            return name
        if "://" in name and option in _SCHEMES:
            return self.address(name, _SCHEMES[option], option)
        if Path(name).suffix.lower() not in _ENDINGS[option]:
            endings = ", ".join(_ENDINGS[option])
            also = {"output_stream": ", none, or a URL to publish to", "events_output": ", or a URL"}.get(option, "")
            raise ConfigurationError(f"{redact(name[:100])!r} is no output: a file ({endings}){also}", option=option)
        return self._written(name, option, results)

    def _rules(self, text: str) -> str:
        """Rules themselves, the name of those of the package, or a file below ``media``."""
        return text if is_text(text) or text in BUILT_IN else str(self.file(text, "events"))

    def _written(self, name: str, option: str, results: Path | None) -> str:
        if results is None or "/" in name or "\\" in name:
            return str(self.file(name, option))
        if not _PLAIN_NAME.fullmatch(name) or len(name.encode()) > _LONGEST_PART:
            raise ConfigurationError(f"{name[:100]!r} is no file name", option=option)
        return str(results / name)

    def classifier(self, name: str) -> str:
        """A classifier by its name, its path below ``media``, or the address of a scoring server."""
        if "://" in name:
            return self.address(name, ("http", "https"), "classifier")
        if _PLAIN_NAME.fullmatch(name) and (self.classifiers / name).is_dir():
            return str(self.classifiers / name)
        return str(self.file(name, "classifier"))

    def address(self, url: str, schemes: tuple[str, ...], option: str) -> str:
        """``url``, if it has one of these schemes and may be named."""
        bare = split_credentials(url)[0]
        scheme = bare.partition("://")[0].lower()
        if scheme not in schemes:
            known = ", ".join(f"{each}://" for each in schemes)
            raise ConfigurationError(f"{redact(url[:200])}: only {known} can be named here", option=option)
        if not self.this_machine:
            _check_elsewhere(bare, option)
        return url


def _can_be(path: Path) -> bool:
    """Whether a file system can have such a path: whoever opens another one gets an odd error."""
    parts = [len(os.fsencode(part)) for part in path.parts]
    return max(parts) <= _LONGEST_PART and sum(parts) + len(parts) <= _LONGEST_PATH


def _check_elsewhere(url: str, option: str) -> None:
    """Raise :class:`.ConfigurationError` for an address of this machine, or one that is valid on its own link only.

    Services there trust whoever comes from this machine (cloud metadata, administration).
    """
    try:
        host = urlsplit(url).hostname or ""
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, ValueError):
        raise ConfigurationError(f"{redact(url[:200])}: there is no such host", option=option) from None
    for text in found:
        address = ipaddress.ip_address(text.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_loopback or address.is_link_local or address.is_unspecified:
            raise ConfigurationError(f"{redact(url[:200])} is an address of this machine", option=option)


def _listed(given: Settings, option: str) -> list[str]:
    values = given.get(option) or ()
    assert isinstance(values, list | tuple)
    return [str(each) for each in values]


def shown(given: Settings) -> Mapping[str, object]:
    """Settings as an answer shows them: without credentials."""
    return {name: _shown(value) for name, value in given.items()}


def _shown(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    return [_shown(each) for each in value] if isinstance(value, list | tuple) else value
