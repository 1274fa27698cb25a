"""Holistic inference as the script of a Python node, in OVMS or in the graph server.

OVMS removes its holistic calculators after 2026.4. ``graphs/holistic_python`` has the same inputs and outputs
as ``graphs/holistic_classifier``, and runs in every OVMS with Python.
"""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from graph_server.assets import ensure_models, shipped_mounts
from graph_server.calculators import REGISTRY
from graph_server.config.server_config import read_config
from graph_server.graph.definition import GraphDefinition, parse_graph
from graph_server.graph.runtime import Graph
from graph_server.models.config import ModelConfig
from graph_server.models.repository import ModelRepository
from graph_server.models.runtime import Runtime
from graph_server.python_nodes.tensor import Tensor
from graph_server.resources import cache_folder, project_file
from kserve_wire.encoded import ENCODED_FRAME

IMAGE, TIMESTAMP = "first_input_video", "frame_timestamp"
FRAMES = (IMAGE, ENCODED_FRAME)
"""The inputs that take frames: raw or encoded. A graph has one of them."""
MOST_SESSIONS = 64
"""The most sessions that keep their state. For one more, the session that was idle longest ends."""

Array = npt.NDArray[Any]


class PyTensor(Protocol):
    """The part of ``pyovms.Tensor`` that the node uses."""

    name: str
    data: memoryview


class Session:
    """One stream of frames. It has its own graph, with its own tracking and smoothing."""

    def __init__(self, definition: GraphDefinition, models: ModelRepository) -> None:
        self._found: dict[str, Array] = {}
        self._graph = Graph(definition, REGISTRY, models)
        self._graph.start({}, self._take)

    def process(self, stream: str, frame: Array, timestamp: int) -> Mapping[str, Array]:
        """The outputs for a frame of that input stream, by name. ``timestamp``, in µs, must rise.

        Raises :class:`~graph_server.errors.GraphError`.
        """
        self._found = {}
        self._graph.add_packet(stream, frame, timestamp)
        self._graph.wait_until_idle()
        return self._found

    def close(self) -> None:
        """End the graph."""
        self._graph.cancel()

    def _take(self, name: str, value: Array, timestamp: int) -> None:
        self._found[name] = value


class HolisticModel:
    """``OvmsPythonModel`` of the Python graphs: ``graphs/holistic_python`` and those beside it.

    The graph must have ``num_threads: 1``. ``graph`` is the folder of the graph that does the work.

    OVMS does not say which session a call belongs to. With ``num_threads: 1`` each session has its own thread, so the
    thread identifies the session. ``make_tensor`` is ``pyovms.Tensor``. ``models_dir`` is a model repository; the
    default is the user's cache, and missing models are fetched into it.
    """

    def __init__(
        self,
        make_tensor: Callable[..., Any],
        models_dir: Path | None = None,
        *,
        graph: str = "holistic_classifier",
    ) -> None:
        self._graph = graph
        self._make_tensor = make_tensor
        self._models_dir = models_dir
        self._lock = threading.Lock()
        self._sessions: OrderedDict[int, Session] = OrderedDict()

    def initialize(self, kwargs: Mapping[str, Any]) -> None:
        """Load the models. Raises :class:`~graph_server.errors.GraphServerError`."""
        config = project_file("server_config/config.json")
        served = read_config(config, shipped_mounts(config, ensure_models(self._models_dir)))
        models = tuple(_on_all_processors(model) for model in served.models)
        self._models = ModelRepository(Runtime(cache_folder() / "openvino"), models)
        text = project_file(f"graphs/{self._graph}/graph.pbtxt").read_text(encoding="utf-8")
        self._definition = parse_graph(text, source=self._graph, registry=REGISTRY)
        Session(self._definition, self._models).close()  # compiles the networks, so that the first frame does not wait

    def execute(self, inputs: Sequence[PyTensor]) -> list[Any]:
        """The tensors of the graph's outputs for the frame in ``inputs``.

        Raises :class:`ValueError` for a wrong frame, and :class:`~graph_server.errors.GraphError`.
        """
        given = {tensor.name: np.asarray(tensor.data) for tensor in inputs}
        stream = next((name for name in FRAMES if name in given), IMAGE)
        frame = _frame(stream, given.get(stream))
        timestamp = int(given[TIMESTAMP][0]) if TIMESTAMP in given else time.time_ns() // 1000
        thread = threading.get_native_id()
        session = self._session(thread)
        try:
            found = session.process(stream, frame, timestamp)
        except Exception:
            self._forget(thread)
            raise
        return [self._made(name, value) for name, value in found.items()]

    def _made(self, name: str, value: Array) -> Any:
        if isinstance(value, Tensor):
            return self._make_tensor(name, value.contiguous(), value.shape, value.datatype)
        return self._make_tensor(name, np.ascontiguousarray(value))

    def finalize(self) -> None:
        """End all sessions."""
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            session.close()

    def _session(self, thread: int) -> Session:
        with self._lock:
            session = self._sessions.get(thread)
            if session is not None:
                self._sessions.move_to_end(thread)
                return session
            gone = [other for other in self._sessions if not _alive(other)]
            over = [self._sessions.pop(other) for other in gone]
            if len(self._sessions) >= MOST_SESSIONS:
                over.append(self._sessions.popitem(last=False)[1])
        for ended in over:
            ended.close()
        session = Session(self._definition, self._models)
        with self._lock:
            self._sessions[thread] = session
        return session

    def _forget(self, thread: int) -> None:
        with self._lock:
            session = self._sessions.pop(thread, None)
        if session is not None:
            session.close()


def _frame(stream: str, data: Array | None) -> Array:
    """What the graph takes; raises :class:`ValueError`. OVMS gives a tensor of BYTES as its raw bytes."""
    if stream == ENCODED_FRAME and data is not None:
        return Tensor.of_bytes(stream, np.ascontiguousarray(data).reshape(-1).view(np.uint8).data, (1,), "BYTES")
    if data is None or data.dtype != np.uint8 or not _is_frame(data.shape):
        raise ValueError(f"{stream} must be UINT8 [height, width, 1, 3 or 4]")
    return data


def _is_frame(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[2] in (1, 3, 4) and min(shape) > 0


def _on_all_processors(model: ModelConfig) -> ModelConfig:
    """Let the pose networks use all processors. OVMS waits for each frame, so no other frame needs them meanwhile."""
    if model.name not in ("pose_detection", "pose_landmark_full"):
        return model
    return replace(model, plugin_config={**model.plugin_config, "PERFORMANCE_HINT": "LATENCY"})


def _alive(thread: int) -> bool:
    """Whether a thread of this process still runs. True if the system has no such information."""
    tasks = Path("/proc/self/task")
    return not tasks.is_dir() or os.path.exists(tasks / str(thread))
