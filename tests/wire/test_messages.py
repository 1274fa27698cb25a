"""The message classes: they come from the schema and are never deleted."""

import gc
import os
import re
import subprocess
import sys
import weakref
from importlib.resources import files

import pytest
from tritonclient.grpc import service_pb2

from kserve_wire import messages
from kserve_wire.datatypes import CONTENTS
from kserve_wire.messages import InferTensorContents, ModelInferRequest, ModelInferResponse
from kserve_wire.schema import load_schema


def test_classes_of_messages_are_never_deleted() -> None:
    # protobuf makes the class of a nested message when it needs one. Two threads doing this crashed client and server.
    made = ModelInferRequest()
    classes = [weakref.ref(type(item)) for item in (made.inputs.add(), made.parameters["x"], made.outputs.add())]
    del made
    gc.collect()
    assert [kind() is not None for kind in classes] == [True] * 3


def test_messages_with_the_same_name_in_protobufs_own_pool_do_not_clash() -> None:
    theirs = service_pb2.ModelInferRequest
    assert theirs.DESCRIPTOR.full_name == ModelInferRequest.DESCRIPTOR.full_name
    assert theirs is not ModelInferRequest
    data = theirs(model_name="m", raw_input_contents=[b"abc"]).SerializeToString()
    assert ModelInferRequest.FromString(data).raw_input_contents == [b"abc"]


def test_the_stubs_have_exactly_the_messages_of_the_schema() -> None:
    stubs = (files("kserve_wire") / "kserve_v2_pb2.pyi").read_text()
    named = re.findall(r"^class (\w+)\(_message\.Message\)", stubs, re.MULTILINE)
    assert named
    assert set(named) == {name for name, value in vars(messages).items() if isinstance(value, type)}


def test_a_nested_message_is_an_attribute_of_its_owner() -> None:
    assert type(ModelInferResponse().outputs.add()) is ModelInferResponse.InferOutputTensor


def test_all_fields_for_typed_values_are_fields_of_the_message() -> None:
    assert set(CONTENTS.values()) == set(InferTensorContents.DESCRIPTOR.fields_by_name)


def test_the_classes_work_with_protobuf_in_pure_python() -> None:
    program = (
        "from google.protobuf.internal import api_implementation\n"
        "from kserve_wire.messages import ModelInferRequest\n"
        "made = ModelInferRequest(inputs=[ModelInferRequest.InferInputTensor(name='x')])\n"
        "print(api_implementation.Type(), ModelInferRequest.FromString(made.SerializeToString()).inputs[0].name)"
    )
    environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["python", "x"]


def test_the_error_for_a_schema_that_is_not_compiled_says_what_to_do() -> None:
    with pytest.raises(ImportError, match=r"nothing\.binpb is missing: install the package"):
        load_schema("kserve_wire", "nothing.binpb")
