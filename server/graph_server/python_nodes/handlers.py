"""The scripts of a graph's Python nodes. They are loaded and finalised with the graph; its instances share them.

Sources: src/python/pythonnoderesources.cpp, src/python/python_node_initializer.cpp.
"""

import importlib
import logging
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from graph_server.errors import ConfigError
from graph_server.graph.messages import PythonExecutorCalculatorOptions
from graph_server.graph.node import Node
from graph_server.python_nodes.tensor import Tensor, provide

logger = logging.getLogger(__name__)

CALCULATOR = "PythonExecutorCalculator"


class Model(Protocol):
    """The class ``OvmsPythonModel`` of a script. The methods ``initialize`` and ``finalize`` are optional."""

    def execute(self, inputs: list[Tensor]) -> Any:
        """A list of tensors, or a generator of such lists."""


class Handlers:
    """The models of a graph's Python nodes, by the name of the node.

    Each user calls :meth:`retain` and :meth:`release`. The last release finalises the models.
    """

    def __init__(self, models: Mapping[str, Model]) -> None:
        self.models = models
        self._lock = threading.Lock()
        self._users = 1

    def retain(self) -> None:
        """Add a user."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """Remove a user."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
        for name, model in self.models.items():
            _finalize(name, model)


def load_handlers(nodes: Iterable[Node], folder: Path) -> Handlers:
    """Load the script of each Python node in ``nodes``. Relative paths begin at ``folder``.

    Raises :class:`ConfigError`. Before that it finalises the scripts that are already loaded.
    """
    models: dict[str, Model] = {}
    try:
        for node in nodes:
            if node.calculator == CALCULATOR:
                models[node.name] = _load(node, folder)
    except BaseException:
        Handlers(models).release()
        raise
    return Handlers(models)


def _load(node: Node, folder: Path) -> Model:
    path = folder / node.options.of(PythonExecutorCalculatorOptions).handler_path
    if not path.is_file():
        raise ConfigError(f"{node.where()}: handler_path {path} does not exist")
    provide()
    # As in OVMS, scripts with the same file name are the same module, also in different folders.
    sys.path.append(str(path.parent))
    try:
        script = importlib.import_module(path.stem)
        made: Model = script.OvmsPythonModel()
        if not callable(getattr(made, "execute", None)):
            raise AttributeError("OvmsPythonModel has no execute")
        initialize = getattr(made, "initialize", None)
        if initialize is not None:
            initialize(
                {
                    "input_names": [port.name for port in node.inputs],
                    "output_names": [port.name for port in node.outputs],
                    "node_name": node.name,
                    "base_path": str(path.parent),
                }
            )
    except Exception as error:
        logger.debug("%s", path, exc_info=error)
        raise ConfigError(f"{node.where()}: {path} cannot be used: {type(error).__name__}: {error}") from error
    return made


def _finalize(name: str, model: Model) -> None:
    finalize = getattr(model, "finalize", None)
    if finalize is None:
        return
    try:
        finalize()
    except Exception as error:  # noqa: BLE001 - the user's script may raise anything; unloading goes on
        logger.error("node %r: finalize failed: %s: %s", name, type(error).__name__, error)
