"""The seam for providers of videos."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from stream_client.distill.streams import Pass, Stream, divided
from stream_client.errors import SourceError


@dataclass(frozen=True, slots=True)
class Video:
    """A video that a provider offers. ``url`` is of the file, ``page`` of what people look at; ``author`` made it."""

    url: str
    page: str
    author: str


class Provider(Protocol):
    """Offers videos for words."""

    @property
    def name(self) -> str:
        """What credits call it."""

    @property
    def page(self) -> str:
        """Its page for people."""

    def search(self, query: str, count: int) -> Sequence[Video]:
        """The next ``count`` videos for ``query``: another call goes on where this one ended, and from the start again
        after the last one. Raises :class:`.StreamClientError`.
        """


def fetched(provider: Provider, queries: Sequence[str], count: int) -> Pass:
    """``count`` videos for each of the queries in a pass, others in the next one. Some of the first are held out.

    The pass raises :class:`.SourceError` where there is none.
    """
    first = [True]

    def streams() -> Iterable[Stream]:
        found: dict[str, Stream] = {}
        for query in queries:
            for video in provider.search(query, count):
                credit = f"{video.author} on {provider.name}"
                found[video.url] = Stream(video.url, video.page, credit=credit)
        if not found:
            raise SourceError(f"{provider.name} has no video for {', '.join(queries)}: use other words")
        chosen = divided(list(found.values())) if first[0] else list(found.values())
        first[0] = False
        return chosen

    return streams
