"""The place of a tensor in its parameters."""

from kserve_wire.messages import ModelInferRequest
from kserve_wire.shared_memory import Place, place_of, set_place


def test_a_place_is_written_and_read_with_tritons_names() -> None:
    tensor, place = ModelInferRequest.InferInputTensor(), Place("frames", 4096, 12)
    assert place_of(tensor.parameters) is None
    set_place(tensor.parameters, place)
    assert place_of(tensor.parameters) == place
    assert tensor.parameters["shared_memory_region"].string_param == "frames"
    assert tensor.parameters["shared_memory_offset"].int64_param == 4096
    assert tensor.parameters["shared_memory_byte_size"].int64_param == 12


def test_reading_a_place_does_not_change_the_parameters() -> None:
    tensor = ModelInferRequest.InferInputTensor()
    tensor.parameters["shared_memory_region"].string_param = "frames"
    assert place_of(tensor.parameters) == Place("frames", 0, 0)
    assert list(tensor.parameters) == ["shared_memory_region"]
