"""The models of a configuration, by name and version."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from graph_server.errors import ConfigError, LoadError, UnknownModelError, UnknownVersionError
from graph_server.metrics.servables import ServableMetrics
from graph_server.models.model import Model, ModelConfig
from graph_server.models.runtime import Runtime
from graph_server.models.versions import available_versions, model_file

logger = logging.getLogger(__name__)

READ_AT_ONCE = 2
"""Models that are read at the same time; one alone leaves all processors but one idle."""


class ModelRepository:
    """The models of a configuration, by name and version. ``before`` gives what need not be loaded again."""

    def __init__(
        self,
        runtime: Runtime,
        configs: tuple[ModelConfig, ...],
        metrics: ServableMetrics | None = None,
        before: "ModelRepository | None" = None,
    ) -> None:
        self._configs = {config.name: config for config in configs}
        self._failures: dict[str, ConfigError] = {}
        self._models: dict[str, dict[int, Model]] = {}
        metrics = metrics or ServableMetrics()

        def read(config: ModelConfig) -> None:
            kept = before._models.get(config.name, {}) if before and before._configs.get(config.name) == config else {}
            try:
                self._models[config.name] = _readable(runtime, config, metrics, kept)
            except ConfigError as error:
                self._failures[config.name] = error

        with ThreadPoolExecutor(READ_AT_ONCE, thread_name_prefix="read") as pool:
            for _ in pool.map(read, configs):
                pass

    @property
    def names(self) -> tuple[str, ...]:
        """Every configured model."""
        return tuple(self._configs)

    def get(self, name: str, version: int = 0) -> Model:
        """The model of that name, by default its highest version.

        Raises :class:`UnknownModelError`, :class:`UnknownVersionError`, or the :class:`ConfigError` that kept
        it from being loaded.
        """
        if name not in self._configs:
            raise UnknownModelError(f"no model named {name!r} is configured")
        if name in self._failures:
            raise self._failures[name]
        versions = self._models[name]
        if version and version not in versions:
            raise UnknownVersionError(f"model {name} has no version {version}, only {sorted(versions)}")
        return versions[version or max(versions)]

    def versions(self, name: str) -> tuple[int, ...]:
        """The versions of a model that are served, from the lowest."""
        return tuple(sorted(self._models.get(name, ())))

    def compile(self, name: str) -> None:
        """Compile every version as it is now rather than at its first request; what fails is not served."""
        try:
            for model in self._models.get(name, {}).values():
                model.compile()
        except ConfigError as error:
            self._failures[name] = error
            del self._models[name]

    def forget_sources(self) -> None:
        """Free what only compiling needs."""
        for versions in self._models.values():
            for model in versions.values():
                model.forget_source()

    def failure(self, name: str) -> ConfigError | None:
        """Why a configured model is not served."""
        return self._failures.get(name)


def _readable(
    runtime: Runtime, config: ModelConfig, metrics: ServableMetrics, kept: Mapping[int, Model]
) -> dict[int, Model]:
    """The versions that the policy chooses of those that can be read; raises :class:`ConfigError` where none can.

    As in OVMS, one that cannot be read, perhaps since it is still being copied, makes way for the next.
    """
    if config.unusable:
        raise LoadError(f"model {config.name}: {config.unusable}", "PATH_INVALID")
    paths = _paths(config)
    found: dict[int, Model] = {}
    failures: list[ConfigError] = []
    while wanted := config.policy.choose(tuple(paths)):
        for version in wanted:
            model = found.get(version) or kept.get(version)
            if model is None or model.path != paths[version]:
                model = Model(runtime, config, version, paths[version], metrics)
            try:
                _ = model.inputs  # what cannot be read shows now
            except ConfigError as error:
                failures.append(error)
                del paths[version]
            else:
                found[version] = model
        if all(version in found for version in wanted):
            for failure in failures:
                logger.error("%s", failure)
            return {version: found[version] for version in wanted}
    if failures:
        raise failures[0]
    versions = ", ".join(str(version) for version in config.policy.versions)
    raise ConfigError(f"model {config.name}: {config.base_path} has no version {versions} (model_version_policy)")


def _paths(config: ModelConfig) -> dict[int, Path]:
    paths, failure = {}, None
    for version in available_versions(config.base_path):
        try:
            paths[version] = model_file(config.base_path, version)
        except LoadError as error:
            failure = error
    if not paths:
        raise failure or LoadError(f"model {config.name}: no version in {config.base_path}", "PATH_INVALID")
    return paths


class UsedModels(ModelRepository):
    """The same models, and a note of which were asked for."""

    def __init__(self, models: ModelRepository) -> None:
        self._all = models
        self.used: dict[str, Model] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Every configured model."""
        return self._all.names

    def get(self, name: str, version: int = 0) -> Model:
        """The model of that name, noted."""
        model = self._all.get(name, version)
        self.used[name] = model
        return model
