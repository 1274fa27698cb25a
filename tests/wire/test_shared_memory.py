"""Where a tensor's parameters say that it lies."""

from kserve_wire.messages import ModelInferRequest
from kserve_wire.shared_memory import Place, place_of, set_place


def test_a_place_comes_back_as_it_was_set_by_tritons_names() -> None:
    tensor, place = ModelInferRequest.InferInputTensor(), Place("frames", 4096, 12)
    assert place_of(tensor.parameters) is None
    set_place(tensor.parameters, place)
    assert place_of(tensor.parameters) == place
    assert tensor.parameters["shared_memory_region"].string_param == "frames"
    assert tensor.parameters["shared_memory_offset"].int64_param == 4096
    assert tensor.parameters["shared_memory_byte_size"].int64_param == 12


def test_reading_a_place_leaves_the_parameters_as_they_were() -> None:
    tensor = ModelInferRequest.InferInputTensor()
    tensor.parameters["shared_memory_region"].string_param = "frames"
    assert place_of(tensor.parameters) == Place("frames", 0, 0)
    assert list(tensor.parameters) == ["shared_memory_region"]
