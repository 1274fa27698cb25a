"""What each release of OVMS can do, and what the client says where its graphs cannot be there."""

import pytest

from stream_client.errors import UnknownServableError
from stream_client.transport.options import TransportOptions
from stream_client.transport.ovms_versions import NAME, Release, capabilities, release_of
from stream_client.transport.session import connect
from tests.support.kserve_server import ScriptedServer


@pytest.mark.parametrize(
    ("version", "release"),
    [("2026.4.1.5e6f7a8b", (2026, 4)), ("2025.3", (2025, 3)), ("0.2.0", None), ("", None), ("2026", None)],
)
def test_the_release_is_in_the_version_of_the_server(version: str, release: Release | None) -> None:
    assert release_of(NAME, version) == release
    assert release_of("triton", version) is None


def test_capabilities_begin_and_end_with_releases() -> None:
    assert capabilities((2026, 4)).holistic_calculators
    assert not capabilities((2027, 0)).holistic_calculators
    assert [capabilities((2026, number)).tfs for number in (2, 3)] == [True, False]
    assert [capabilities((2026, number)).graph_pools for number in (1, 2)] == [False, True]
    assert [capabilities((2026, number)).idle_unloading for number in (3, 4)] == [False, True]
    assert [capabilities(release).nv12 for release in ((2025, 4), (2026, 0))] == [False, True]
    assert [capabilities((2023, number)).python_nodes for number in (2, 3)] == [False, True]


@pytest.mark.parametrize(("version", "told"), [("2027.0", True), ("2026.4.1", False)])
def test_a_missing_graph_is_explained_where_the_release_lacks_its_calculators(
    server: ScriptedServer, version: str, told: bool
) -> None:
    server.name, server.version = NAME, version
    server.graphs = ("graph",)
    with pytest.raises(UnknownServableError) as error:
        connect(TransportOptions(server.address, model_name="holisticLandmarks"))
    assert ("serve graphs/holistic_python in it" in error.value.message) == told
