"""A server that answers as Pexels documents its API, and serves the videos that it offers."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

KEY = "a-key-of-56-letters"


class PexelsServer:
    """``videos`` are offered for every query, in order. ``answers`` are statuses to give first, each once."""

    def __init__(self, videos: Mapping[str, Path], answers: list[tuple[int, Mapping[str, str]]]) -> None:
        self.videos = dict(videos)
        self.answers = answers
        self.limit_left = 200
        self.reset = int(time.time()) + 3600
        self.asked: list[Mapping[str, str]] = []
        """The parameters of each search."""
        self.cut: set[str] = set()
        """Videos that break off in the middle."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def search(self) -> str:
        return f"{self.address}/v1/videos/search"

    def _handler(outer) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path.startswith("/files/"):
                    self._file(parts.path.removeprefix("/files/"))
                elif parts.path == "/v1/videos/search":
                    self._search({name: value[0] for name, value in parse_qs(parts.query).items()})
                else:
                    self.send_error(404)

            def _search(self, given: Mapping[str, str]) -> None:
                outer.asked.append(given)
                if self.headers.get("Authorization") != KEY:
                    self._answer(401, {"error": "The request is not authorized."})
                elif outer.answers:
                    status, headers = outer.answers.pop(0)
                    self._answer(status, {"error": "busy"}, headers)
                else:
                    outer.limit_left -= 1
                    limits = {
                        "X-Ratelimit-Limit": "200",
                        "X-Ratelimit-Remaining": str(outer.limit_left),
                        "X-Ratelimit-Reset": str(outer.reset),
                    }
                    self._answer(200, outer.page(given), limits)

            def _answer(self, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                for name, value in {**(headers or {}), "Content-Type": "application/json"}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _file(self, name: str) -> None:
                content = outer.videos[name].read_bytes()
                start = 0
                if span := self.headers.get("Range"):
                    start = int(span.removeprefix("bytes=").split("-")[0])
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                else:
                    self.send_response(200)
                self.send_header("Content-Type", "video/mp4")
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                end = len(content) // 2 if name in outer.cut else len(content)
                self.wfile.write(content[start : max(start, end)])

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        return Handler

    def page(self, given: Mapping[str, str]) -> Mapping[str, Any]:
        number, size = int(given["page"]), int(given["per_page"])
        names = list(self.videos)
        found = names[(number - 1) * size : number * size]
        page: dict[str, Any] = {
            "page": number,
            "per_page": size,
            "total_results": len(names),
            "url": "https://www.pexels.com/videos/",
            "videos": [self._video(names.index(name), name) for name in found],
        }
        if number * size < len(names):
            page["next_page"] = f"{self.search}?{urlencode({**given, 'page': number + 1})}"
        return page

    def _video(self, index: int, name: str) -> Mapping[str, Any]:
        def file(width: int, height: int, quality: str = "hd", kind: str = "video/mp4", link: str = "") -> Any:
            link = link or f"{self.address}/absent/{width}"
            return {"id": width, "quality": quality, "file_type": kind, "width": width, "height": height, "link": link}

        return {
            "id": 1448735 + index,
            "width": 1920,
            "height": 1080,
            "url": f"https://www.pexels.com/video/{name}/",
            "duration": 8,
            "user": {"id": 1, "name": "Ruvim", "url": "https://www.pexels.com/@ruvim"},
            "video_files": [
                file(1920, 1080),
                file(640, 360, "sd", link=f"{self.address}/files/{name}"),
                file(426, 240, "sd"),
                {**file(0, 0, "hls", "application/x-mpegURL"), "width": None, "height": None},
            ],
            "video_pictures": [],
        }


@contextmanager
def pexels_server(videos: Mapping[str, Path], *answers: tuple[int, Mapping[str, str]]) -> Iterator[PexelsServer]:
    """The server, on loopback."""
    made = PexelsServer(videos, list(answers))
    thread = threading.Thread(target=made._server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield made
    finally:
        made._server.shutdown()
        made._server.server_close()
        thread.join()
