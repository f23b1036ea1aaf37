"""The kernel series by itself: its style, whether it applies exactly, and whether it builds after each patch."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..paths import REPOSITORY
from ..progress import LabError, run, step
from . import evidence

TOOLS = REPOSITORY / "kernel"


def tree() -> Path:
    """The pristine source that the series is for, unpacked unless it is already."""
    return Path(run([TOOLS / "tree"]).strip())


def check() -> Path:
    """kernel/check on a pristine tree; returns that tree. LabError when a patch does not pass."""
    source = tree()
    if subprocess.run([TOOLS / "check", source], stdin=subprocess.DEVNULL).returncode:
        raise LabError("the series does not pass kernel/check")
    return source


def bisect() -> None:
    """Build after each patch (96 min on one shared core the first time) and keep the result as evidence."""
    tested = evidence.parts(evidence.EACH_PATCH)
    source = check()
    with step("build after each patch"):
        done = subprocess.run([TOOLS / "bisect", source, *evidence.bisect_configs()], stdin=subprocess.DEVNULL)
    if done.returncode:
        raise LabError("a patch does not build by itself")
    names = (evidence.SERIES / "6.12" / "series").read_text().split()
    release = run(["make", "-s", "-C", source, "kernelversion"]).strip()
    rows = [{"name": name, "result": "pass", "reason": ""} for name in names]
    evidence.record(evidence.EACH_PATCH, release, tested, rows)
