"""Datatypes: their NumPy dtypes, and the encoding of BYTES."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kserve_wire.datatypes import (
    CONTENTS,
    DATATYPES,
    DTYPES,
    TOO_MANY_ELEMENTS,
    element_count,
    join_elements,
    split_elements,
)


def test_each_datatype_has_its_own_dtype() -> None:
    assert {dtype: name for name, dtype in DTYPES.items()} == DATATYPES
    assert len(DATATYPES) == len(DTYPES) == 12
    assert DATATYPES[np.zeros(1, np.float32).dtype] == "FP32"


@pytest.mark.parametrize(("datatype", "size"), [("BOOL", 1), ("UINT16", 2), ("FP16", 2), ("INT32", 4), ("FP64", 8)])
def test_a_dtype_has_the_size_of_its_datatype(datatype: str, size: int) -> None:
    assert DTYPES[datatype].itemsize == size


def test_all_datatypes_except_half_floats_have_a_field_for_typed_values() -> None:
    assert set(CONTENTS) == {*DTYPES, "BYTES"} - {"FP16"}


@given(st.lists(st.binary(max_size=300)))
def test_joined_elements_split_into_the_same_elements(elements: list[bytes]) -> None:
    assert split_elements(memoryview(join_elements(elements))) == elements


@pytest.mark.parametrize("data", [b"\x00", b"\x01\x00\x00\x00", b"\x00\x00\x00\x00\x02\x00\x00\x00x", b"\xff" * 7])
def test_elements_that_are_cut_off_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="cut off after"):
        split_elements(memoryview(data))


def test_the_length_is_little_endian() -> None:
    assert join_elements([b"ab", b""]) == b"\x02\x00\x00\x00ab\x00\x00\x00\x00"


@given(st.lists(st.integers(0, 2**63 - 1), max_size=8))
def test_elements_are_counted_up_to_more_than_a_tensor_can_have(shape: list[int]) -> None:
    assert element_count(shape) == min(math.prod(shape), TOO_MANY_ELEMENTS)


def test_a_hundred_thousand_sizes_are_too_many_elements() -> None:
    assert element_count([2**63 - 1] * 100_000) == TOO_MANY_ELEMENTS
