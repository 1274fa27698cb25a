"""Large messages are joined as small ones are."""

import pytest

from kserve_wire.joining import LARGE, joined


@pytest.mark.parametrize("size", [0, 1, LARGE - 8, LARGE, LARGE + 12_345])
def test_the_parts_follow_one_another(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    parts: list[bytes | bytearray | memoryview] = [b"head", b"", memoryview(body)[: size // 2]]
    parts += [bytearray(body[size // 2 :]), memoryview(b"tail")]
    found = joined(parts)
    assert type(found) is bytes
    assert found == b"head" + body + b"tail"
