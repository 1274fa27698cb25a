"""OpenVINO's Model API, which asks OVMS over REST: `model_api_package.py CASE GRPC_ADDRESS REST_ADDRESS`."""

import numpy as np
from model_api.adapters import OVMSAdapter
from model_api.models import ClassificationModel

from tests.e2e.clients.cases import COLORS, run


def adapter(grpc: str, rest: str) -> None:
    made = OVMSAdapter(f"{rest}/v2/models/colors")
    assert list(made.get_input_layers()) == ["image"]
    assert np.allclose(made.infer_sync({"image": COLORS})["scores"], [[1, 2, 3]])
    assert made.get_rt_info(["model_info", "labels"]).astype(str) == "red green blue"


def classifier(grpc: str, rest: str) -> None:
    """Type, labels and layout come from the model's own information."""
    model = ClassificationModel.create_model(f"{rest}/v2/models/colors")
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, :, 1] = 200
    assert model(image).top_labels[0].name == "green"


if __name__ == "__main__":
    run(adapter, classifier)
