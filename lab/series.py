"""The kernel series by itself: its style, whether it applies exactly, and whether it builds after each patch."""

from __future__ import annotations

import subprocess
from pathlib import Path

from . import evidence
from .paths import REPOSITORY
from .progress import LabError, run, step

TOOLS = REPOSITORY / "kernel"


def check() -> Path:
    """kernel/check on a pristine tree; returns that tree. LabError when a patch does not pass."""
    tree = Path(run([TOOLS / "tree"]).strip())
    if subprocess.run([TOOLS / "check", tree], stdin=subprocess.DEVNULL).returncode:
        raise LabError("the series does not pass kernel/check")
    return tree


def bisect() -> None:
    """Build after each patch (half an hour on two cores the first time) and keep the result as evidence."""
    tree = check()
    with step("build after each patch"):
        done = subprocess.run([TOOLS / "bisect", tree, *evidence.bisect_configs()], stdin=subprocess.DEVNULL)
    if done.returncode:
        raise LabError("a patch does not build by itself")
    names = (evidence.SERIES / "6.12" / "series").read_text().split()
    release = run(["make", "-s", "-C", tree, "kernelversion"]).strip()
    evidence.record(evidence.EACH_PATCH, release, [{"name": name, "result": "pass", "reason": ""} for name in names])
