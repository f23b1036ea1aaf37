# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces that interfaces of PCI devices were moved to.

/sys shows only interfaces of the namespace that it was mounted in, so the namespaces are entered, by a child process.
"""

from __future__ import annotations

import errno
import json
import re
import sys
from collections.abc import Iterator, Mapping

from .._model.errors import KernelError, SriovError
from .._system import process
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import mountinfo, namespaces_child, processes

MOUNTS, OWN = "/proc/self/mountinfo", "/proc/self/ns/net"
UNKNOWN = "another network namespace, which no process, mount or open file of this host leads to"


def find(sysfs: Sysfs, run: Run, addresses: frozenset[str]) -> dict[str, str]:
    """Namespaces, in words, of interfaces that are elsewhere, by PCI address.

    Namespaces that are named (`ip netns`, container runtimes) or that a process lives in come first; those that
    somebody merely holds a file descriptor of are searched only when that was not enough.
    """
    found: dict[str, str] = {}
    seen = {sysfs.target(OWN) or ""}
    for source in (_named, _lived_in, _held_open):
        paths = {target: place for target, place in source(sysfs) if target not in seen}
        seen |= set(paths)
        found.update(_search(sysfs, run, dict(paths.values()), addresses - set(found)))
        if len(found) == len(addresses):
            break
    return {**dict.fromkeys(addresses, UNKNOWN), **found}


def _search(sysfs: Sysfs, run: Run, places: Mapping[str, str], wanted: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Interfaces of the ``wanted`` addresses in the namespaces at ``places``.

    Yields addresses and words. ``places``: words by path.
    """
    if not places:
        return
    source = process.source_of(namespaces_child)
    argv = [sys.executable, "-IS", "-c", source, "kvmfleet-sriov-namespaces", *map(sysfs.real, places)]
    try:
        answers = json.loads(run(argv))
    except (SriovError, ValueError):
        return
    for words, interfaces in zip(places.values(), answers):
        for address in wanted & set(interfaces or {}):
            yield address, f"{words}, as interface {interfaces[address]}"


def _named(sysfs: Sysfs) -> Iterator[tuple[str, tuple[str, str]]]:
    """Namespaces with a mount point (ip-netns(8): /run/netns/NAME; proc(5): mountinfo)."""
    for mount in mountinfo.rows(MOUNTS, sysfs.read(MOUNTS)) if sysfs.exists(MOUNTS) else ():
        if re.fullmatch(r"net:\[\d+\]", mount.root):
            yield mount.root, (mount.point, f"network namespace {mount.point.rpartition('/netns/')[2]}")


def _lived_in(sysfs: Sysfs) -> Iterator[tuple[str, tuple[str, str]]]:
    for target, pid in processes.namespaces(sysfs, "net").items():
        yield target, (f"/proc/{pid}/ns/net", f"the network namespace of {processes.describe(sysfs, pid)}")


def _held_open(sysfs: Sysfs) -> Iterator[tuple[str, tuple[str, str]]]:
    """Namespaces of open files, as far as this user may read them."""
    try:
        for pid, path, target in processes.open_files(sysfs):
            if target.startswith("net:["):
                yield target, (path, f"a network namespace that {processes.describe(sysfs, pid)} holds open")
    except KernelError as error:
        if error.errno != errno.EACCES:
            raise
