"""The conditions of a passed selftest."""

from __future__ import annotations

import cases_selftest
import pytest
from harness import FailedError, SkippedError

GOOD = "TAP version 13\n1..2\nok 1 a: enable\n# a remark\nok 2 a: disable\n# Totals: pass:2 fail:0\n"


def test_all_that_was_planned_was_passed() -> None:
    assert cases_selftest.judge(0, GOOD) == 2


@pytest.mark.parametrize(
    ("status", "text", "words"),
    [
        (1, GOOD.replace("ok 2 a", "not ok 2 a"), "1 of 2 tests failed: a: disable"),
        (0, GOOD.replace("ok 2 a: disable\n", ""), "1 of 2 tests"),
        (0, GOOD.replace("disable", "disable # SKIP no PF"), "1 of 2 tests"),
        (1, GOOD, "status 1, 2 of 2 tests"),
        (0, "", "0 of 0 tests"),
        (0, "1..0\n", "0 of 0 tests"),
    ],
)
def test_anything_less_is_a_failure(status: int, text: str, words: str) -> None:
    with pytest.raises(FailedError, match=words):
        cases_selftest.judge(status, text)


def test_a_skip_has_the_reason() -> None:
    with pytest.raises(SkippedError, match=r"skipped itself: 1\.\.0 # SKIP no VFs on demand"):
        cases_selftest.judge(4, "TAP version 13\n1..0 # SKIP no VFs on demand for 0000:01:00.0\n")
