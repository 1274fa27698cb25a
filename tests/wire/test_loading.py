"""What a process saves while its modules load."""

import gc
import os
import weakref
from collections.abc import Iterator

import pytest

from kserve_wire.loading import freeze_once, let_idle_threads_sleep, without_collections


class Circle:
    """An object that only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """The collector of the tests' own process, as in a new one."""
    gc.unfreeze()
    freeze_once.cache_clear()
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_rests_while_modules_load_and_is_left_as_it_was(enabled: bool) -> None:
    if not enabled:
        gc.disable()
    with without_collections():
        assert not gc.isenabled()
        loaded = [[] for _ in range(3)]  # type: ignore[var-annotated]
    assert gc.isenabled() is enabled
    assert gc.get_freeze_count() > len(loaded)


def test_what_others_made_before_a_later_load_is_collected() -> None:
    with without_collections():
        pass
    circle = Circle()
    made = weakref.ref(circle)
    with without_collections():
        pass
    del circle
    gc.collect()
    assert made() is None


def test_it_is_enabled_again_after_an_import_that_failed() -> None:
    with pytest.raises(ImportError), without_collections():
        raise ImportError
    assert gc.isenabled()


def test_the_users_own_setting_for_idle_threads_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "OPENBLAS_THREAD_TIMEOUT"
    monkeypatch.setenv(name, "")  # so that its absence is put back, too
    monkeypatch.delenv(name)
    let_idle_threads_sleep()
    assert os.environ[name] == "4"
    monkeypatch.setenv(name, "20")
    let_idle_threads_sleep()
    assert os.environ[name] == "20"
