"""The models of a server, by name and version, with the state of each version.

Source: src/modelmanager.cpp (reloadModelWithVersions, getVersionsToChange), src/model.cpp, src/modelversionstatus.hpp.
A name stays known once it was configured, as in OVMS.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from graph_server.errors import LoadError, MissingModelError, UnknownModelError, UnknownVersionError
from graph_server.metrics.servables import ModelMetrics, ServableMetrics
from graph_server.models.config import ModelConfig
from graph_server.models.model import Model
from graph_server.models.preparation import Requested
from graph_server.models.runtime import Runtime
from graph_server.models.versions import VersionPolicy, available_versions, model_file

logger = logging.getLogger(__name__)

READ_AT_ONCE = 2
"""How many models are read at the same time. A single one would use only one processor."""


NONE_BROKEN: Mapping[int, LoadError] = {}


@dataclass(frozen=True, slots=True)
class Version:
    """The state of a version. ``model`` is served while the state is ``AVAILABLE``. ``failure`` says why it is not."""

    number: int
    state: Literal["LOADING", "AVAILABLE", "END"]
    metrics: ModelMetrics
    model: Model | None = None
    failure: LoadError | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result of loading a model: whether a version changed, and OVMS's name of the failure, if any.

    ``retry``: the failure of another attempt while nothing has changed.
    """

    changed: bool = False
    status: str = ""
    retry: str = ""


class Models(Protocol):
    """Gives the nodes of a graph their models."""

    def get(self, name: str, version: int = 0) -> Model:
        """The model that is served, by default its highest version; raises :class:`MissingModelError`."""


class ModelRepository:
    """Every model that was ever configured. Safe from several threads. Only one at a time may load."""

    def __init__(
        self, runtime: Runtime, configs: Iterable[ModelConfig] = (), metrics: ServableMetrics | None = None
    ) -> None:
        self._runtime = runtime
        self._metrics = metrics or ServableMetrics()
        self._versions: dict[str, dict[int, Version]] = {}
        self._failures: dict[str, LoadError] = {}
        self._changed = threading.Condition()
        self._adapting = threading.Lock()
        self._closed = False
        self.load(tuple(configs))

    @property
    def names(self) -> tuple[str, ...]:
        """Every model that is or was configured."""
        return tuple(self._versions)

    @property
    def precisions(self) -> Mapping[str, str]:
        """The type that each compiled model computes in, such as ``f32``."""
        found: dict[str, str] = {}
        for name, versions in list(self._versions.items()):
            models = [version.model for version in versions.values() if version.model is not None]
            for model in models:
                if model.precision is not None:
                    found[name] = model.precision
        return found

    def versions(self, name: str) -> Mapping[int, Version]:
        """Every version that is or was served, or could not be loaded, from the lowest."""
        return dict(sorted(self._versions[name].items()))

    def find(self, name: str, version: int = 0) -> Version:
        """A version, by default the highest that is available.

        Raises :class:`UnknownModelError` and :class:`UnknownVersionError`.
        """
        if name not in self._versions:
            raise UnknownModelError(f"no model named {name!r} is configured")
        versions = self._versions[name]
        available = [number for number, found in versions.items() if found.state == "AVAILABLE"]
        number = version or max(available, default=0)
        if number not in versions:
            raise UnknownVersionError(f"model {name} has no version {version or 'to serve'}, only {sorted(available)}")
        return versions[number]

    def wait_for(self, name: str, version: int, seconds: float) -> Version:
        """The same. Waits up to ``seconds`` for a version that is being loaded, or could not be."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self.find(name, version).state != "LOADING", seconds)
            return self.find(name, version)

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def get(self, name: str, version: int = 0) -> Model:
        """The model that is served, for a graph; raises :class:`MissingModelError` with the reason."""
        try:
            found = self.find(name, version)
        except UnknownVersionError as error:
            raise MissingModelError(str(self._failures.get(name, error) if not version else error)) from error
        except UnknownModelError as error:
            raise MissingModelError(str(error)) from error
        if found.model is None:
            raise MissingModelError(str(found.failure or f"model {name}: version {version} is retired"))
        return found.model

    def load(self, configs: Iterable[ModelConfig]) -> dict[str, Loaded]:
        """Bring every model in line with its configuration and folder. Returns the result for each."""
        configs = tuple(configs)
        with ThreadPoolExecutor(READ_AT_ONCE, thread_name_prefix="read") as pool:
            return dict(zip((config.name for config in configs), pool.map(self._load, configs), strict=True))

    def compile(self, config: ModelConfig) -> Loaded:
        """Compile available models now, not at the first request. A version that fails is retired."""
        result, broken = Loaded(), dict[int, LoadError]()
        while failures := dict(self._compile_failures(config.name)):
            broken |= failures
            result = replace(self._load(config, broken), changed=True)
        return result

    def _compile_failures(self, name: str) -> Iterator[tuple[int, LoadError]]:
        for number, version in self.versions(name).items():
            try:
                if version.model is not None:
                    version.model.compile()
            except LoadError as error:
                self._failed(name, number, error)
                yield number, error

    def adapt(self, name: str, number: int, requested: Requested) -> Model:
        """The version with the batch size or shapes of a request, for this and later requests.

        Raises :class:`LoadError`, then the version stays as it was.
        """
        with self._adapting:
            before = self.find(name, number)
            if before.model is None or before.model.requested == requested:
                return self.get(name, number)
            old = before.model
            model = Model(self._runtime, old.config, number, old.path, before.metrics, requested)
            model.compile()
            self._set(name, replace(before, model=model))
            return model

    def retire(self, name: str) -> None:
        """Serve no version of it any more."""
        for version in self.versions(name).values():
            self._set(name, replace(version, state="END", model=None, failure=None))

    def refuse(self, name: str) -> None:
        """Retire all versions of a model with a refused entry."""
        for number in self._versions.get(name, {}):
            self._failed(name, number, LoadError(f"model {name}: its entry is refused", "MODEL_CONFIG_INVALID"))

    def wake(self, name: str) -> None:
        """Compile what is available of a model; raises :class:`LoadError`."""
        for model in self._served(name):
            model.compile()

    def sleep(self, name: str) -> None:
        """Free what is compiled of a model."""
        for model in self._served(name):
            model.unload()

    def _served(self, name: str) -> list[Model]:
        return [version.model for version in self.versions(name).values() if version.model is not None]

    def forget_sources(self) -> None:
        """Free what only compiling needs."""
        for versions in self._versions.values():
            for version in versions.values():
                if version.model is not None:
                    version.model.forget_source()

    def _load(self, config: ModelConfig, broken: Mapping[int, LoadError] = NONE_BROKEN) -> Loaded:
        """``broken``: versions that are known not to work."""
        name = config.name
        self._versions.setdefault(name, {})
        try:
            if config.unusable:
                raise LoadError(config.unusable, "PATH_INVALID")
            available = set(available_versions(config.base_path))
        except LoadError as error:
            logger.error("model %s: %s", name, error)
            self._failures[name] = error
            return Loaded(status=error.status, retry=error.status)
        if not available:
            logger.warning("model %s: no version folder in %s, as in %s/1", name, *[config.base_path] * 2)
        failed = dict(broken)
        status = next((error.status for error in broken.values()), "")
        before = self._versions[name]

        def wanted() -> set[int]:
            return set(config.policy.choose(tuple(available - failed.keys())))

        while new := wanted() - self._versions[name].keys():
            failures = self._read_all(config, new)
            failed |= failures
            status = next((error.status for error in failures.values()), "")
            if not failures:
                break
        old = {number for number in wanted() if self._needs_reload(config, self._versions[name][number])}
        if failures := self._read_all(config, old):
            failed |= failures
            status = next(error.status for error in failures.values())
        for number in self._versions[name].keys() - wanted() - failed.keys():
            if self._versions[name][number].state != "END":
                self._set(name, replace(self._versions[name][number], state="END", model=None, failure=None))
        asked = config.policy.choose(tuple(available))
        retry = [
            found.failure.status for number, found in self._versions[name].items() if number in asked and found.failure
        ]
        return Loaded(before is not self._versions[name], status, next(iter(retry), ""))

    def _read_all(self, config: ModelConfig, numbers: Iterable[int]) -> dict[int, LoadError]:
        """Make versions available. Returns those that failed."""
        read = ((number, self._read(config, number)) for number in sorted(numbers))
        return {number: failure for number, failure in read if failure is not None}

    def _needs_reload(self, config: ModelConfig, version: Version) -> bool:
        if version.model is None:
            return True
        policy = VersionPolicy()
        return replace(config, policy=policy) != replace(version.model.config, policy=policy)

    def _read(self, config: ModelConfig, number: int) -> LoadError | None:
        """Make a version available. Returns the reason of a failure."""
        name = config.name
        before = self._versions[name].get(number)
        metrics = before.metrics if before else self._metrics.model(name, number)
        if before is None:
            self._set(name, Version(number, "LOADING", metrics))
        try:
            path = model_file(config.base_path, number)
            model = Model(self._runtime, config, number, path, metrics)
            if not config.on_demand:
                _ = model.inputs, model.outputs  # what cannot be read shows now
        except LoadError as error:
            self._failed(name, number, error)
            return error
        self._set(name, Version(number, "AVAILABLE", metrics, model))
        return None

    def _failed(self, name: str, number: int, error: LoadError) -> None:
        logger.error("model %s, version %d: %s", name, number, error)
        self._failures[name] = error
        self._set(name, replace(self._versions[name][number], state="LOADING", model=None, failure=error))

    def _set(self, name: str, version: Version) -> None:
        with self._changed:
            self._versions[name] = {**self._versions[name], version.number: version}
            self._changed.notify_all()


class UsedModels:
    """The models of a graph. Remembers which ones were used."""

    def __init__(self, models: Models) -> None:
        self._all = models
        self.used: dict[str, Model] = {}

    def get(self, name: str, version: int = 0) -> Model:
        """As :meth:`Models.get`, noted."""
        model = self._all.get(name, version)
        self.used[name] = model
        return model
