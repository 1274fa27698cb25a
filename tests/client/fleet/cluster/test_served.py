"""Which graph server a stream of a cluster uses."""

from pathlib import Path

import pytest

from stream_client.fleet.cluster.served import names_no_server, with_server
from stream_client.fleet.cluster.store import Served

SERVERS = {
    "b2": Served("10.0.0.2:9000", {"holisticTracking": Path("/labels")}),
    "a1": Served("10.0.0.1:9000", {"holisticTracking": Path("/labels")}),
}


@pytest.mark.parametrize(("node", "address"), [("a1", "10.0.0.1:9000"), ("c3", "10.0.0.1:9000,10.0.0.2:9000")])
def test_the_server_of_the_own_node_comes_first(node: str, address: str) -> None:
    found = with_server({"input_stream": "testsrc", "model_name": "passThrough"}, SERVERS, node)
    assert found == {"input_stream": "testsrc", "model_name": "passThrough", "grpc_address": address}


def test_label_names_come_along_with_the_server() -> None:
    assert with_server({"model_name": "holisticTracking"}, SERVERS, "a1")["labels"] == "/labels"
    assert with_server({"model_name": "holisticTracking", "labels": "own"}, SERVERS, "a1")["labels"] == "own"


def test_a_stream_with_a_server_keeps_it() -> None:
    assert names_no_server({"grpc_address": "embedded"})
    assert not names_no_server({"grpc_address": "a:1"})
