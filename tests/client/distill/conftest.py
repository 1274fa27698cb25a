"""What tests of students need."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.missing import missing
from tests.support.puppet import write_bars


@pytest.fixture
def pytorch() -> Iterator[None]:
    """PyTorch, which is not among what `make test` installs, in one thread: others test beside it."""
    if importlib.util.find_spec("torch") is None:
        missing("PyTorch", "make torch")
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def bars(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A video of bars in all directions, and one of other directions."""
    folder = tmp_path_factory.mktemp("bars")
    rng = np.random.default_rng(0)
    return (
        write_bars(folder / "train.mp4", list(rng.uniform(-np.pi, np.pi, 200))),
        write_bars(folder / "held.mp4", list(rng.uniform(-np.pi, np.pi, 40))),
    )
