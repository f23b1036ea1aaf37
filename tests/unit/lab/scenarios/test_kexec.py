"""The wait for a host that jumps."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from lab.progress import LabError
from lab.scenarios import kexec


def host_that_answers(*answers: str | Exception) -> Any:  # noqa: ANN401 - a stand-in for a running host
    left = list(answers)

    def run(_command: str, **_more: object) -> str:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return SimpleNamespace(ssh=SimpleNamespace(run=run), host=SimpleNamespace(name="series"), left=left)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that advances by ten seconds at each reading."""
    seconds = iter(range(0, 10_000, 10))
    monkeypatch.setattr(kexec, "time", SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda _seconds: None))


def test_questions_that_the_jump_cuts_off_are_asked_again() -> None:
    target = host_that_answers("old\n", LabError("255"), subprocess.TimeoutExpired("ssh", 60), "new\n", "never asked")
    kexec.wait_for_another_boot(target, "old")
    assert target.left == ["never asked"]


def test_a_host_that_does_not_jump_is_an_error() -> None:
    with pytest.raises(LabError, match="series did not jump"):
        kexec.wait_for_another_boot(host_that_answers(*["old"] * 9), "old", 50)
