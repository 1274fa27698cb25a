"""Options of the web application."""

from dataclasses import dataclass, field
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.util.redact import redact
from stream_client.util.settings import check, setting
from stream_client.util.urls import is_loopback


@dataclass(frozen=True, slots=True)
class WebOptions:
    """Where the application listens, who may use it, and what it may cost.

    On loopback, everyone on this machine may use it, unless ``require_token``. Elsewhere a token is always needed.
    Paths in requests are below ``media_dir``. Without it they are below the current folder on loopback, and elsewhere
    no path is taken.
    """

    host: str = field(default="127.0.0.1", metadata=setting("address to listen on", metavar="ADDRESS"))
    port: int = field(
        default=8080, metadata=setting("port to listen on, 0: any free one", minimum=0, maximum=65535, metavar="N")
    )
    media_dir: Path | None = field(
        default=None,
        metadata=setting(
            "folder of the files that streams may read and write",
            otherwise="the current folder on loopback, none elsewhere",
            metavar="DIR",
        ),
    )
    data_dir: Path | None = field(
        default=None,
        metadata=setting(
            "folder to keep uploads and classifiers in", otherwise="a temporary one, removed at the end", metavar="DIR"
        ),
    )
    recordings_dir: Path | None = field(
        default=None,
        metadata=setting("folder of recordings to search and play", otherwise="media_dir", metavar="DIR"),
    )
    fleet: Path | None = field(
        default=None, metadata=setting("streams.toml of a fleet of this machine, to show and steer it", metavar="FILE")
    )
    max_sessions: int = field(
        default=8, metadata=setting("live cameras of browsers at once", minimum=1, maximum=1000, metavar="N")
    )
    max_streams: int = field(
        default=16, metadata=setting("streams that run at once", minimum=1, maximum=1000, metavar="N")
    )
    max_upload: float = field(
        default=2000.0, metadata=setting("largest file to upload", unit="MB", above=0, metavar="MEGABYTES")
    )
    require_token: bool = field(default=False, metadata=setting("ask for the token on loopback, too"))
    allowed_host: tuple[str, ...] = field(
        default=(), metadata=setting("name that browsers know this machine by, in addition to its own")
    )
    allowed_origin: tuple[str, ...] = field(
        default=(), metadata=setting("other site whose pages may use the API (CORS), as https://example.org")
    )
    ice_server: tuple[str, ...] = field(
        default=(), metadata=setting("server that WebRTC connects with: stun:HOST:PORT or turn:HOST:PORT")
    )
    certificate: Path | None = field(
        default=None,
        metadata=setting("PEM file with the certificate: serve HTTPS", name="tls_cert", otherwise="plain HTTP"),
    )
    key: Path | None = field(default=None, metadata=setting("PEM file with the certificate's key", name="tls_key"))

    def __post_init__(self) -> None:
        check(self)
        if self.fleet is not None and not self.fleet.is_file():
            raise ConfigurationError(f"{self.fleet} does not exist", option="fleet")
        if (self.certificate is None) != (self.key is None):
            missing = "tls_cert" if self.certificate is None else "tls_key"
            raise ConfigurationError("a certificate and its key go together", option=missing)
        for url in self.ice_server:
            if not url.startswith(("stun:", "turn:", "turns:")) or "@" in url:
                raise ConfigurationError(
                    f"{redact(url)} is no stun:HOST:PORT or turn:HOST:PORT; TURN's user and password are in the"
                    " environment, STREAM_CLIENT_TURN_USERNAME and STREAM_CLIENT_TURN_PASSWORD",
                    option="ice_server",
                )
        for name, path in (("tls_cert", self.certificate), ("tls_key", self.key)):
            if path is not None and not path.is_file():
                raise ConfigurationError(f"{path} does not exist", option=name)
        for name, folder in (("media_dir", self.media_dir), ("recordings_dir", self.recordings_dir)):
            if folder is not None and not folder.is_dir():
                raise ConfigurationError(f"{folder} is no folder", option=name)

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the application."""
        return is_loopback(self.host)

    @property
    def needs_token(self) -> bool:
        """Whether users have to show the token."""
        return self.require_token or not self.local
