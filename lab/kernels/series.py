"""The kernel series by itself: its style, whether it applies exactly, and whether it builds after each patch."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..paths import REPOSITORY
from ..progress import LabError, run, step
from . import evidence
from .base import DEFAULT, Base

TOOLS = REPOSITORY / "kernel"


def tree(base: Base = DEFAULT) -> Path:
    """The pristine source of a base, unpacked unless it is already."""
    return Path(run([TOOLS / "tree", base.archive]).strip())


def check(base: Base = DEFAULT) -> Path:
    """kernel/check on a pristine tree; returns that tree. LabError when a patch does not pass."""
    source = tree(base)
    if subprocess.run([TOOLS / "check", source, base.patches], stdin=subprocess.DEVNULL).returncode:
        raise LabError("the series does not pass kernel/check")
    return source


def bisect(base: Base = DEFAULT) -> None:
    """Build after each patch (96 min on one shared core the first time) and keep the result as evidence."""
    tested = evidence.parts(evidence.EACH_PATCH)
    source = check(base)
    with step("build after each patch"):
        done = subprocess.run(
            [TOOLS / "bisect", source, base.patches, *evidence.bisect_configs()], stdin=subprocess.DEVNULL
        )
    if done.returncode:
        raise LabError("a patch does not build by itself")
    names = (base.patches / "series").read_text().split()
    release = run(["make", "-s", "-C", source, "kernelversion"]).strip()
    rows = [{"name": name, "result": "pass", "reason": ""} for name in names]
    evidence.record(evidence.EACH_PATCH, release, tested, rows)
