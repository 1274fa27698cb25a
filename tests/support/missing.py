"""What a test needs and a machine may not have: such a test is skipped, and fails in CI."""

import os
from collections import Counter
from collections.abc import Iterable
from typing import NoReturn

import pytest


def missing(what: str, remedy: str) -> NoReturn:
    """End the test, which needs ``what``; ``remedy`` says how to get it."""
    reason = f"missing {what} ({remedy})"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def skip_reasons(reports: Iterable[object]) -> Counter[str]:
    """The reasons of the skipped among the reported tests, each with its number of tests."""
    return Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in reports
        if isinstance(report, pytest.TestReport) and report.skipped and isinstance(report.longrepr, tuple)
    )
