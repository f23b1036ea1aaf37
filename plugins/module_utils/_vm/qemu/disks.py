# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a running QEMU, by QMP and on this host."""

from __future__ import annotations

from collections.abc import Sequence

from ..._model.errors import KernelError, SriovError
from ..._system.sysfs import Sysfs
from .. import images
from ..images import Image
from . import bitmaps, block_answers, block_graph
from .block_graph import Problem
from .qmp import Qmp


def ask(qmp: Qmp, argv: Sequence[str]) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """(names of all open images, what differs from a command line)."""
    nodes = qmp.execute("query-named-block-nodes")
    differences = block_graph.differences(argv, qmp.execute("query-block"), qmp.execute("query-block-jobs"))
    return block_answers.images(nodes), (*differences, *bitmaps.lost(nodes))


def find(sysfs: Sysfs, pid: int, names: Sequence[str], cwd: str) -> tuple[tuple[Image, ...], tuple[Problem, ...]]:
    """(images of these names, problems with them); ``cwd`` is that of QEMU."""
    try:
        found = tuple(images.find(sysfs, name, cwd) for name in names)
        replaced = tuple(images.replaced(sysfs, pid, found))
    except KernelError as error:
        return (), ((f"an image that it has open is not there ({error})", block_graph.FIX),)
    return found, tuple(
        (f"the file at {name} is not the one that it has open, its restore would open the other", block_graph.FIX)
        for name in replaced
    )


def require(sysfs: Sysfs, qmp: Qmp, argv: Sequence[str], cwd: str) -> tuple[str, ...]:
    """Require that a restore opens what is open now; returns the images.

    Raises `SriovError` for the first difference.
    """
    names, problems = ask(qmp, argv)
    for problem, fix in [*problems, *find(sysfs, qmp.pid, names, cwd)[1]]:
        raise SriovError(f"{problem}: {fix}")
    return names


def known(sysfs: Sysfs, qmp: Qmp, cwd: str) -> tuple[Image, ...]:
    """Find the images that a QEMU has open, without their contents."""
    names = block_answers.images(qmp.execute("query-named-block-nodes"))
    return tuple(images.find(sysfs, name, cwd) for name in names)


def read(sysfs: Sysfs, qmp: Qmp, argv: Sequence[str], cwd: str) -> tuple[Image, ...]:
    """Read the images of a QEMU after its last flush."""
    return tuple(images.read(sysfs, name, cwd) for name in require(sysfs, qmp, argv, cwd))
