"""ovmsclient, which speaks TensorFlow Serving's API: `ovmsclient_package.py CASE GRPC_ADDRESS REST_ADDRESS`."""

from typing import Any

import numpy as np
from ovmsclient import InvalidInputError, ModelNotFoundError, make_grpc_client, make_http_client

from tests.e2e.clients.cases import COLORS, FRAME, run


def predict(grpc: str, rest: str) -> None:
    client = make_grpc_client(grpc)
    assert np.allclose(client.predict({"image": COLORS}, "colors"), [[1, 2, 3]])
    assert np.allclose(client.predict({"image": COLORS}, "colors", model_version=1), [[1, 2, 3]])


def metadata(grpc: str, rest: str) -> None:
    assert make_grpc_client(grpc).get_model_metadata("colors") == {
        "model_version": 1,
        "inputs": {"image": {"shape": [1, 8, 8, 3], "dtype": "DT_FLOAT"}},
        "outputs": {"scores": {"shape": [1, 3], "dtype": "DT_FLOAT"}},
    }


def status(grpc: str, rest: str) -> None:
    client = make_grpc_client(grpc)
    available = {1: {"state": "AVAILABLE", "error_code": 0, "error_message": "OK"}}
    assert client.get_model_status("colors") == available
    assert client.get_model_status("passThrough") == available


def refusal(client: Any, inputs: dict[str, Any]) -> str:
    try:
        client.predict(inputs, "colors")
    except InvalidInputError as error:
        return str(error)
    return "not refused"


def refusals(grpc: str, rest: str) -> None:
    client = make_grpc_client(grpc)
    where = "input name: image"
    for name, value, text in (
        ("image", COLORS.astype(np.int32), f"Invalid input precision - Expected: FP32; Actual: I32; {where}"),
        ("image", COLORS[0], f"Invalid number of shape dimensions - Expected: (1,8,8,3); Actual: (8,8,3); {where}"),
        ("image", COLORS[:, :4], f"Invalid input shape - Expected: (1,8,8,3); Actual: (1,4,8,3); {where}"),
        ("other", COLORS, "Missing input with specific name - Required input: image"),
    ):
        assert refusal(client, {name: value}).endswith(text), refusal(client, {name: value})
    for name, version in (("nothing", 0), ("passThrough", 0), ("colors", 7)):
        try:
            client.predict({"image": FRAME}, name, model_version=version)
        except ModelNotFoundError:
            continue
        raise AssertionError(f"{name}, version {version}: found")


def http(grpc: str, rest: str) -> None:
    client = make_http_client(rest)
    assert np.allclose(client.predict({"image": COLORS}, "colors"), [[1, 2, 3]])
    assert client.get_model_metadata("colors") == make_grpc_client(grpc).get_model_metadata("colors")
    for name in ("colors", "passThrough"):
        assert client.get_model_status(name) == make_grpc_client(grpc).get_model_status(name)
    text = "Invalid input shape - Expected: (1,8,8,3); Actual: (1,4,8,3); input name: image"
    assert refusal(client, {"image": COLORS[:, :4]}).endswith(text), refusal(client, {"image": COLORS[:, :4]})
    try:
        client.predict({"image": COLORS}, "nothing")
    except ModelNotFoundError:
        return
    raise AssertionError("found")


if __name__ == "__main__":
    run(predict, metadata, status, refusals, http)
