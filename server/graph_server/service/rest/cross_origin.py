"""What a browser is told about requests from pages of other origins.

Source: src/drogon_http_server.cpp, which adds these headers to every answer.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CrossOrigin:
    """What pages of other origins may do: lists with commas, ``*`` for anything; empty ones are not told."""

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
