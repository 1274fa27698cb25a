"""The errors of the graph server, as one tree.

::

    GraphServerError
     ├── ConfigError           a configuration, graph or model file that cannot work
     │    ├── LoadError        a model that cannot be served, with OVMS's name of the reason
     │    ├── MissingModelError  a model that a graph needs but that is not served
     │    └── UnsupportedError  a feature of OVMS that the graph server does not have
     ├── AssetError            models or clips that cannot be fetched
     ├── UnknownModelError     no model has this name
     │    └── UnknownVersionError   the model does not have this version
     ├── GraphError            a graph that failed to start or run
     ├── GroupBusyError        another group of idle servables was used for too long (servables/idle.py)
     └── Refusal               a request that is refused, with OVMS's text and code (service/status.py)
          ├── UnmappedRefusal       OVMS has no code for it
          └── NotJson               a REST request that is not JSON (service/rest/tensors.py)

Every message is one line that names the input and says what to do.
"""


class GraphServerError(Exception):
    """Base of every error that this package raises on purpose.

    ``message`` is one line. ``option`` is the name of the wrong option, for instance ``"rest_port"``. ``str(error)``
    has it in brackets; the command line prints its flag instead.
    """

    def __init__(self, message: str, *, option: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.option = option

    def __str__(self) -> str:
        return self.message if self.option is None else f"{self.message} ({self.option})"


class ConfigError(GraphServerError):
    """A configuration, graph or model file that cannot work."""


class LoadError(ConfigError):
    """A model that cannot be served. ``status`` is OVMS's name of the reason (src/status.hpp)."""

    def __init__(self, message: str, status: str) -> None:
        super().__init__(message)
        self.status = status


class MissingModelError(ConfigError):
    """A model that a graph needs but that is not served."""


class UnsupportedError(ConfigError):
    """A feature of OVMS that the graph server does not have."""


class AssetError(GraphServerError):
    """Models or clips that cannot be fetched."""


class UnknownModelError(GraphServerError):
    """No model has this name."""


class UnknownVersionError(UnknownModelError):
    """The model does not have this version."""


class GraphError(GraphServerError):
    """A graph that failed to start or run. ``code`` is the name of MediaPipe's status code."""

    def __init__(self, message: str, code: str = "INTERNAL") -> None:
        super().__init__(message)
        self.code = code
