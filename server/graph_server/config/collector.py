"""Sorts entries of a configuration into models and graphs, in the order in which OVMS reads them.

Source: src/modelmanager.cpp (loadModels, loadMediapipeSubConfigModels, CheckStartFromGraph),
src/mediapipe_internal/mediapipegraphconfig.cpp.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph_server.config.entries import Remarks, model_config
from graph_server.config.findings import Effect, Finding
from graph_server.config.paths import Folder, join
from graph_server.config.schema import entry_fault
from graph_server.errors import ConfigError
from graph_server.models.config import ModelConfig
from graph_server.models.runtime import supported_keys

_Entry = Mapping[str, Any]
_GRAPH, _SUBCONFIG, _MESH_SUBCONFIG = "graph.pbtxt", "subconfig.json", "config.json"


@dataclass(frozen=True, slots=True)
class GraphConfig:
    """A graph as the configuration names it."""

    name: str
    graph_path: Path
    group: str = ""
    """Its group of :class:`~graph_server.servables.idle.IdleGroups`, empty for one of its own."""


class Collector:
    """Collects models and graphs. The first of two equal names counts."""

    def __init__(self, folder: Folder, read_json: Callable[[Path], Any]) -> None:
        """``folder``: the configuration's. ``read_json`` raises :class:`ConfigError`."""
        self.folder = folder
        self.files: list[Path] = []
        self.found_models: dict[str, ModelConfig] = {}
        self.found_graphs: dict[str, GraphConfig] = {}
        self.invalid: list[str] = []
        self._read_json = read_json
        self._subconfigs: list[list[str]] = []
        self._remarks: list[Remarks] = []

    def remark(self, place: str) -> Remarks:
        """Where findings about a place go."""
        self._remarks.append(Remarks(place))
        return self._remarks[-1]

    def places(self) -> tuple[str, ...]:
        """Every place in the configuration, with or without remarks."""
        return tuple(dict.fromkeys(remarks.place for remarks in self._remarks))

    def findings(self) -> tuple[Finding, ...]:
        """All of them, in the order of the places."""
        return tuple(finding for remarks in self._remarks for finding in remarks.found)

    def models(self, entries: Sequence[Any], place: str, folder: Folder) -> None:
        """The entries of a ``model_config_list``, of the configuration or (with another folder) of a subconfig."""
        for index, item in enumerate(entries):
            entry = item["config"] if isinstance(item, dict) and isinstance(item.get("config"), dict) else {}
            name = entry.get("name", "")
            remarks = self.remark(f"{place}[{index}] ({name})")
            fault = entry_fault(entry, "name")
            if fault is not None:
                remarks.add("refused", fault, status="MODEL_CONFIG_INVALID")
                continue
            if "group_name" in entry:
                remarks.add("note", "older versions refuse the whole file for the key group_name", "2026.4")
            if self.graph_among_models(entry, folder, remarks):
                continue
            if not self.model(entry, folder, remarks):
                left = len(entries) - index - 1
                if left:
                    self.remark(place).add("refused", f"the {left} entries after {name} are not read", "2022.2")
                return

    def graph_among_models(self, entry: _Entry, folder: Folder, remarks: Remarks) -> bool:
        """Take an entry as a graph, if its graph can be opened: in its folder, or in the folder ``1`` below."""
        base = _graph_base(entry, folder)
        named = {key: entry[key] for key in ("name", "group_name") if key in entry}
        for place, names in ((base, entry), (folder.join(f"{base}1/"), named)):
            path = self._graph_file(names, place)
            if not path.is_file():
                continue
            if folder is not self.folder:
                remarks.add("refused", "a graph of a subconfig is not served")
            else:
                self._add_graph(names, place, path, remarks)
            return True
        if "graph_path" in entry or "subconfig" in entry:
            remarks.add("read otherwise", f"there is no graph in {base}, so it is read as a model", "2025.1")
        return False

    def graph(self, entry: _Entry, remarks: Remarks) -> None:
        """An entry of a ``mediapipe_config_list``. It is a graph even if its file is missing."""
        remarks.add("note", "this list is deprecated: write the graph into model_config_list", "2026.3")
        base = _graph_base(entry, self.folder)
        self._add_graph(entry, base, self._graph_file(entry, base), remarks)

    def _graph_file(self, entry: _Entry, base: str) -> Path:
        path = self.folder.locate(join(base, entry.get("graph_path", _GRAPH)))
        self.files.append(path)
        return path

    def _add_graph(self, entry: _Entry, base: str, path: Path, remarks: Remarks) -> None:
        if entry["name"] in self.found_graphs:
            remarks.add("read otherwise", "the name comes twice: the first graph is served")
            return
        self.found_graphs[entry["name"]] = GraphConfig(entry["name"], path, entry.get("group_name", ""))
        self._subconfigs.append([join(base, entry.get("subconfig", _SUBCONFIG)), base + _MESH_SUBCONFIG])

    def subconfigs(self) -> None:
        """The models of the graphs' subconfigs. Reading stops after a broken one."""
        for places in self._subconfigs:
            self.files += [self.folder.locate(place) for place in places]
            place = next((place for place in places if self.folder.locate(place).is_file()), None)
            if place is None:
                continue
            try:
                entries = self._list_of(place)
            except ConfigError as error:
                self.remark(place).add("refused", f"{error}; further subconfigs are not read")
                return
            self.models(entries, f"{place}: model_config_list", Folder(Folder.of(place).text, self.folder.mounts))

    def _list_of(self, place: str) -> list[Any]:
        content = self._read_json(self.folder.locate(place))
        entries = content.get("model_config_list") if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise ConfigError("it has no list model_config_list")
        return entries

    def model(self, entry: _Entry, folder: Folder, remarks: Remarks) -> bool:
        """A model's entry. ``False`` where OVMS stops reading its list."""
        config = model_config(entry, folder, remarks)
        if config is None:
            self.invalid.append(entry["name"])
            return True
        unknown = config.plugin_config.keys() - supported_keys(config.device)
        if unknown:
            reason = f"plugin_config: {', '.join(sorted(unknown))} is no key of device {config.device}"
            remarks.add("refused", reason, "2022.2", "MODEL_CONFIG_INVALID")
            return False
        first = self.found_models.setdefault(config.name, config)
        if first is not config:
            effect: Effect = "note" if first == config else "read otherwise"
            reason = "the name comes twice: the first model is served"
            remarks.add(effect, reason, "2021.2", "MODEL_NAME_OCCUPIED")
        return True


def _graph_base(entry: _Entry, folder: Folder) -> str:
    given = str(entry.get("base_path") or entry["name"])
    return folder.join(given if given.endswith("/") else f"{given}/")
