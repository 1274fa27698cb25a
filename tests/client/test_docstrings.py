"""The examples in docstrings run and give what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["stream_client.testing", "stream_client.sources.arrays"])
def test_the_examples_of_a_module_are_true(module: str) -> None:
    tried = doctest.testmod(importlib.import_module(module))
    assert tried.attempted
    assert not tried.failed
