"""Videos of Pexels, by its documented API (pexels.com/api/documentation, "Search for Videos")."""

import email.utils
import json
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping, Sequence
from email.message import Message
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

from stream_client.distill.providers.base import Video
from stream_client.errors import ConfigurationError, SourceAuthenticationError, SourceError
from stream_client.util.backoff import Backoff
from stream_client.util.http import open_within
from stream_client.util.redact import redact
from stream_client.util.urls import check_clear_text, check_url

ADDRESS = "https://api.pexels.com/v1/videos/search"
_PAGE = 80
"""Videos of a page at most."""
_ATTEMPTS = 4
_TIMEOUT = 20.0
_LARGEST = 8 << 20
"""Bytes of an answer. A page has some 300 KB."""
_LONGEST_WAIT = 300.0
"""Seconds to wait for the rate limit; where it takes longer, it is an error."""
_SIDE = 360
"""The least pixels of a video's shorter side. Larger ones cost more, and a crop has 128."""


class Pexels:
    """Searches with ``key``, which never stands in a message. ``address`` is another one than Pexels' own.

    An answer of 5xx, or none at all, is asked for again, three times. Of the rate limit, what the last answer
    said is kept: a refusal (429) does not say it.
    """

    name = "Pexels"
    page = "https://www.pexels.com"

    def __init__(self, key: str, *, address: str = ADDRESS, per_page: int = _PAGE, first_delay: float = 0.5) -> None:
        if not key.strip() or not key.isascii() or not key.isprintable():
            raise ConfigurationError("the key of Pexels is empty or has odd characters: see PEXELS_API_KEY")
        check_url(address, "fetch_address")
        check_clear_text(address, "fetch_address")
        self._key = key.strip()
        self._address = address
        self._per_page = per_page
        self._first_delay = first_delay
        self._next_page: dict[str, int] = {}
        self._waiting: dict[str, deque[Video]] = {}
        self._left: int | None = None
        self._reset = 0.0
        self._closed = threading.Event()

    def search(self, query: str, count: int) -> Sequence[Video]:
        """The next ``count`` videos."""
        waiting = self._waiting.setdefault(query, deque())
        while len(waiting) < count:
            number = self._next_page.get(query, 1)
            page = self._page(query, number, min(self._per_page, max(count, 1)))
            videos = page.get("videos")
            if not isinstance(videos, list):
                raise SourceError(f"{redact(self._address)} gives no list of videos: is it Pexels' API?")
            waiting.extend(video for each in videos if (video := _video(each)) is not None)
            if not page.get("next_page") or not videos:
                self._next_page[query] = 1
                break
            self._next_page[query] = number + 1
        return [waiting.popleft() for _ in range(min(count, len(waiting)))]

    def close(self) -> None:
        """End all waiting."""
        self._closed.set()

    def _page(self, query: str, number: int, size: int) -> Mapping[str, Any]:
        url = f"{self._address}?{urlencode({'query': query, 'page': number, 'per_page': size})}"
        backoff = Backoff(first=self._first_delay, longest=10.0)
        for attempt in range(_ATTEMPTS):
            if self._left == 0 and self._reset > time.time():
                self._wait_for_limit(self._reset - time.time())
            try:
                return self._ask(url)
            except urllib.error.HTTPError as error:
                with error:
                    failure = self._refused(error)
                if error.code == 429:
                    self._wait_for_limit(self._until_reset(error.headers, backoff))
                    continue
            except (OSError, HTTPException) as error:
                reason = getattr(error, "reason", None) or error
                failure = SourceError(f"{redact(self._address)} cannot be reached: {reason}")
            if attempt < _ATTEMPTS - 1:
                self._closed.wait(backoff.next())
        raise failure

    def _ask(self, url: str) -> Mapping[str, Any]:
        request = urllib.request.Request(url, headers={"User-Agent": "ovms-stream-client"})
        request.add_unredirected_header("Authorization", self._key)  # for this host alone
        with open_within(request, _TIMEOUT) as answer:
            body = answer.read(_LARGEST + 1)
            self._note_limit(answer.headers)
        try:
            if len(body) > _LARGEST:
                raise ValueError
            page = json.loads(body)
            if not isinstance(page, dict):
                raise ValueError
        except ValueError as error:
            raise SourceError(f"{redact(self._address)} gives no JSON: is it Pexels' API?") from error
        return page

    def _refused(self, error: urllib.error.HTTPError) -> SourceError:
        """What an answer other than 2xx means. Raises it where another attempt cannot help."""
        if error.code in (401, 403):
            raise SourceAuthenticationError("Pexels refuses the key: see PEXELS_API_KEY") from error
        if error.code < 500 and error.code != 429:
            raise SourceError(f"{redact(self._address)} answers {error.code} {error.reason}") from error
        return SourceError(f"{redact(self._address)} answers {error.code} {error.reason}, {_ATTEMPTS} times")

    def _note_limit(self, headers: Message) -> None:
        left, reset = headers.get("X-Ratelimit-Remaining", ""), headers.get("X-Ratelimit-Reset", "")
        self._left = int(left) if left.isdecimal() else None
        self._reset = float(reset) if reset.isdecimal() else 0.0

    def _until_reset(self, headers: Message, backoff: Backoff) -> float:
        if self._reset > time.time():
            return self._reset - time.time()
        after = headers.get("Retry-After", "")
        if after.isdecimal():
            return float(after)
        date = email.utils.parsedate_to_datetime(after).timestamp() if _is_date(after) else 0.0
        return date - time.time() if date > time.time() else backoff.next()

    def _wait_for_limit(self, seconds: float) -> None:
        if seconds > _LONGEST_WAIT:
            raise SourceError(f"Pexels' limit of requests is used up for {seconds / 60:.0f} minutes: try again later")
        self._closed.wait(seconds)


def _is_date(text: str) -> bool:
    try:
        email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return False
    return True


def _video(entry: object) -> Video | None:
    """The smallest file that is large enough, of those that are files; ``None`` for an entry without one."""
    if not isinstance(entry, dict) or not isinstance(entry.get("video_files"), list):
        return None
    sized = [
        (min(file["width"], file["height"]), str(file["link"]))
        for file in entry["video_files"]
        if isinstance(file, dict)
        and file.get("file_type") == "video/mp4"  # not a playlist
        and isinstance(file.get("width"), int)
        and isinstance(file.get("height"), int)
        and str(file.get("link", "")).startswith(("https://", "http://"))
    ]
    if not sized:
        return None
    enough = [each for each in sized if each[0] >= _SIDE]
    _, link = min(enough) if enough else max(sized)
    user = entry.get("user")
    author = str(user.get("name", "")) if isinstance(user, dict) else ""
    return Video(link, str(entry.get("url") or link), author or "unknown")
