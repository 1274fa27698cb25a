"""What the configuration says of a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from graph_server.models.preparation import Preparation
from graph_server.models.versions import VersionPolicy


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model as the configuration names it. ``plugin_config`` goes to OpenVINO as it is.

    ``nireq``: infer requests of the model served by itself, 0 for as many as OpenVINO advises. ``cached``: whether
    compiled models may be kept on disk. ``unusable``: why ``base_path`` cannot be served, else empty. ``group``: its
    group of :class:`~graph_server.servables.idle.IdleGroups`, empty for one of its own. ``on_demand``: it is read and
    compiled when something needs it, not at the start.
    """

    name: str
    base_path: Path
    plugin_config: Mapping[str, str | bool | int | float] = field(default_factory=dict)
    policy: VersionPolicy = field(default_factory=VersionPolicy)
    preparation: Preparation = field(default_factory=Preparation)
    device: str = "CPU"
    nireq: int = 0
    cached: bool = True
    unusable: str = ""
    group: str = ""
    on_demand: bool = False
