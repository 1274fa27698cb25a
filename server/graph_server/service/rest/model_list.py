"""The list of servables in the form of OpenAI's API, and the servable that such a request names.

Source: src/http_rest_api_handler.cpp (processListModelsRequest, createV3HttpPayload).
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graph_server.servables.served import Servables
from graph_server.service.rest.json_size import take_parsed
from graph_server.service.rest.tensors import NotJson
from graph_server.service.status import UnmappedRefusal


def model_list(servables: Servables) -> dict[str, Any]:
    """Every model and graph that is available."""
    return {"data": [_entry(name) for name in _available(servables)], "object": "list"}


def described(servables: Servables, name: str) -> dict[str, Any] | None:
    """One of them."""
    return _entry(name) if name in _available(servables) else None


def asked_model(path: str, headers: Mapping[str, str], body: bytes | bytearray, take: Callable[[int], None]) -> str:
    """The servable that a request of a generative endpoint names; raises :class:`Refusal`.

    ``take`` is called with the bytes of memory that the JSON becomes, before it is parsed.
    """
    if "application/json" in headers.get("content-type", ""):
        take_parsed(body, take)
        try:
            content = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise NotJson("Cannot parse JSON body") from error
        if not isinstance(content, dict):
            raise NotJson("JSON body must be an object")
        if "model" not in content:
            raise NotJson("model field is missing in JSON body")
        if not isinstance(content["model"], str):
            raise NotJson("model field is not a string")
        if content["model"]:
            return content["model"]
    name = path[len("/v3/") :]
    if not name:
        raise UnmappedRefusal("Failed to deduce model name from all possible ways")
    return name


def _available(servables: Servables) -> Iterator[str]:
    for name in servables.models.names:
        if any(version.state == "AVAILABLE" for version in servables.models.versions(name).values()):
            yield name
    for name, graph in servables.graphs.items():
        if graph is not None:
            yield name


def _entry(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": int(time.time()), "owned_by": "OVMS"}
