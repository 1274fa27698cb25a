"""What an ``srt://`` URL names, as input or output."""

from urllib.parse import parse_qsl, urlsplit

from stream_client.errors import ConfigurationError

_KNOWN = {"passphrase", "pbkeylen", "streamid", "latency", "mode", "connect_timeout", "transtype"}
_PASSPHRASE = range(10, 80)


def srt_parameters(url: str, option: str) -> dict[str, str]:
    """The options in the query; raises :class:`.ConfigurationError`, with ``option``, for a URL that cannot work."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(given.keys() - _KNOWN)
    if parts.port is None or unknown:
        what = f"unknown {', '.join(unknown)}" if unknown else "no port"
        raise ConfigurationError(
            f"srt:// with {what}: srt://host:port, and after it ?streamid=…&passphrase=… if need be", option=option
        )
    if "passphrase" in given and len(given["passphrase"]) not in _PASSPHRASE:
        raise ConfigurationError("a passphrase of SRT has 10 to 79 characters", option=option)
    if any(character in value for value in given.values() for character in "\r\n"):
        raise ConfigurationError("an option of SRT is one line", option=option)
    return given
