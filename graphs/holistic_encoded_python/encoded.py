"""The script that OVMS loads. It needs ``pip install 'ovms-stream-client[embedded]'`` in OVMS's Python."""

from pathlib import Path

from pyovms import Tensor

from graph_server.holistic_node import HolisticModel

MODELS = Path("/ovms/holistic_models")
"""The folder of the models in docker/ovms-holistic.Dockerfile. Without it the models are in the user's cache."""


class OvmsPythonModel(HolisticModel):
    """The class that OVMS uses."""

    def __init__(self) -> None:
        super().__init__(Tensor, MODELS if MODELS.is_dir() else None, graph="holistic_encoded")
