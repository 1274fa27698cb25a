"""Splitting and joining of messages gives the same result as protobuf itself."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kserve_wire.fields import MAX_FIELDS, delimited, delimited_tag, fields, split, varint
from kserve_wire.messages import ModelInferRequest, ModelInferResponse, ServerLiveResponse

RAW = delimited_tag(ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER)
NAMES = st.text(max_size=20)


@given(name=NAMES, shape=st.lists(st.integers(-(2**63), 2**63 - 1)), raw=st.lists(st.binary(max_size=300)))
def test_a_message_is_split_into_its_large_fields_and_the_rest(name: str, shape: list[int], raw: list[bytes]) -> None:
    message = ModelInferRequest(model_name=name, raw_input_contents=raw)
    message.inputs.add(name=name, shape=shape)
    header, bodies = split(memoryview(message.SerializeToString()), RAW)
    assert bodies == raw
    del message.raw_input_contents[:]
    assert ModelInferRequest.FromString(b"".join(header)) == message


@given(name=NAMES, raw=st.lists(st.binary(max_size=300)))
def test_protobuf_reads_appended_fields(name: str, raw: list[bytes]) -> None:
    header = ModelInferRequest(model_name=name).SerializeToString()
    message = ModelInferRequest.FromString(b"".join([header, *delimited(RAW, raw)]))
    assert (message.model_name, list(message.raw_input_contents)) == (name, raw)


def test_large_fields_are_not_copied() -> None:
    data = ModelInferRequest(raw_input_contents=[bytes(1000)]).SerializeToString()
    _, (body,) = split(memoryview(data), RAW)
    assert np.shares_memory(np.frombuffer(body, np.uint8), np.frombuffer(data, np.uint8))
    assert delimited(RAW, [body])[1] is body


@given(st.integers(0, 2**64 - 1))
def test_a_number_is_written_as_in_protobuf(value: int) -> None:
    message = ModelInferRequest()
    message.inputs.add(shape=[value - 2**64 if value >= 2**63 else value])
    assert message.SerializeToString().endswith(varint(value))


def test_each_field_has_the_positions_of_its_start_body_and_end() -> None:
    data = b"\x0a\x02ab" + b"\x10\x96\x01" + b"\x19" + bytes(8) + b"\x25" + bytes(4)
    found = list(fields(memoryview(data)))
    assert found == [(0x0A, 0, 2, 4), (0x10, 4, 5, 7), (0x19, 7, 8, 16), (0x25, 16, 17, 21)]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x0a", "cut off"),
        (b"\x0a\x05ab", "cut off"),
        (b"\x08\x80", "cut off"),
        (b"\x09\x00", "cut off"),
        (b"\x00\x00", "not a message"),
        (b"\x0b", "wire type 3"),
        (b"\x08" + b"\x80" * 10, "longer than 10 bytes"),
        (b"\x08\x00" * (MAX_FIELDS + 1), f"more than {MAX_FIELDS} fields"),
    ],
)
def test_bytes_that_are_not_a_message_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(fields(memoryview(data)))


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_split_or_refused_and_never_crash(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        header, bodies = split(memoryview(data), RAW)
        assert len(header) + sum(map(len, bodies)) <= len(data)


@pytest.mark.parametrize("message", [ServerLiveResponse(live=True), ModelInferResponse()])
def test_a_message_without_large_fields_stays_whole(message: ServerLiveResponse | ModelInferResponse) -> None:
    data = message.SerializeToString()
    header, bodies = split(memoryview(data), RAW)
    assert (b"".join(header), bodies) == (data, [])
