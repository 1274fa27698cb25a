from pathlib import Path

import pytest

from graph_server.assets import shipped_mounts
from graph_server.config.server_config import read_config
from graph_server.models.repository import ModelRepository
from graph_server.models.runtime import Runtime
from graph_server.resources import cache_folder, project_file


@pytest.fixture(scope="module")
def small_person_models(models_dir: Path) -> ModelRepository:
    """The models with which small persons are found, too."""
    path = project_file("server_config/config_small_persons.json")
    config = read_config(path, shipped_mounts(path, models_dir))
    return ModelRepository(Runtime(cache_folder() / "openvino"), config.models)
