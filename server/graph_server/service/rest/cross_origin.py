"""CORS headers: what pages of other origins may do.

Source: src/drogon_http_server.cpp, which adds these headers to every answer.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CrossOrigin:
    """What pages of other origins may do: comma-separated lists, ``*`` for anything. Empty ones are not sent."""

    origins: str = "*"
    methods: str = "*"
    headers: str = "*"
    credentials: bool = False

    @property
    def answer_headers(self) -> dict[str, str]:
        """The headers of every answer."""
        found = {
            "Access-Control-Allow-Credentials": "true" if self.credentials else "",
            "Access-Control-Allow-Origin": self.origins,
            "Access-Control-Allow-Methods": self.methods,
            "Access-Control-Allow-Headers": self.headers,
        }
        return {name: value for name, value in found.items() if value}
