"""Checks of a kernel series by itself.

Its style, whether it applies exactly, and whether it builds after each patch.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ..paths import REPOSITORY
from ..progress import LabError, run, say, step
from . import patches
from .base import DEFAULT, Base

TOOLS = REPOSITORY / "kernel"


def tree(base: Base = DEFAULT) -> Path:
    """The pristine source of a base, unpacked unless it is already."""
    return Path(run([TOOLS / "tree", base.archive]).strip())


def check(base: Base = DEFAULT) -> Path:
    """Run kernel/check on a pristine tree; returns that tree.

    Raises LabError when a patch does not pass.
    """
    source = tree(base)
    if subprocess.run([TOOLS / "check", source, base.patches], stdin=subprocess.DEVNULL).returncode:
        raise LabError("the series does not pass kernel/check")
    return source


def bisect(base: Base = DEFAULT, *, fresh: bool = False) -> None:
    """Build after each patch and keep the result as evidence.

    96 min on one shared core the first time. From the first patch on that was changed since; ``fresh``: from the first
    one.
    """
    built = patches.digests(base)
    todo = list(built) if fresh else patches.unbuilt(base)
    if not todo:
        say("every patch is known to build (FRESH=1 builds all again)")
        return
    source = check(base)
    more = {**os.environ, "FIRST": "" if todo == list(built) else todo[0]}
    with step(f"build after each patch from {todo[0]} on"):
        argv = [TOOLS / "bisect", source, base.patches, *patches.bisect_configs(base)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, env=more)
    if done.returncode:
        raise LabError("a patch does not build by itself")
    patches.keep(run(["make", "-s", "-C", source, "kernelversion"]).strip(), built, base)
