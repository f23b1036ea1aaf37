# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contents of an initrd: modules and programs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .._model.errors import ToolError
from .._system.process import Run
from .._system.sysfs import Sysfs
from .stack import Stack

MODULE = re.compile(r"\.ko(\.(xz|zst|gz))?$")
LISTERS = (("lsinitramfs",), ("lsinitrd",))
"""Programs that list an initrd: of initramfs-tools, and of dracut."""
PROGRAMS: Mapping[str, frozenset[str]] = {
    "lvm": frozenset({"lvm"}),
    "md": frozenset({"mdadm"}),
    "crypt": frozenset({"cryptsetup", "systemd-cryptsetup"}),
    "multipath": frozenset({"multipath", "multipathd"}),
    "zfs": frozenset({"zpool", "zfs"}),
}
"""Programs that find a root file system, by what it rests on."""
PACKAGES = {"lvm": "lvm2", "md": "mdadm", "crypt": "cryptsetup-initramfs", "multipath": "multipath-tools-boot"}
PACKAGES["zfs"] = "zfs-initramfs"


@dataclass(frozen=True)
class Listing:
    """Contents of an initrd: names of modules (with ``_``) and of programs."""

    modules: frozenset[str]
    programs: frozenset[str]


def listing(sysfs: Sysfs, run: Run, path: str) -> Listing | None:
    """List an initrd; None where no program here can."""
    for lister in LISTERS:
        try:
            return parse(run([*lister, sysfs.real(path)]))
        except ToolError:
            continue
    return None


def parse(text: str) -> Listing | None:
    """Contents from the output of `LISTERS`; None when it names no file.

    lsinitrd has the columns of ``ls -l`` before each path.
    """
    paths = [line.split(" -> ")[0].split()[-1] for line in text.splitlines() if "/" in line and line.split()]
    names = [(os.path.dirname(path), os.path.basename(path)) for path in paths]
    modules = {MODULE.sub("", name).replace("-", "_") for _folder, name in names if MODULE.search(name)}
    programs = {name for folder, name in names if folder.endswith(("bin", "/systemd"))}
    return Listing(frozenset(modules), frozenset(programs)) if paths else None


def missing(stack: Stack, before: Listing, after: Listing, built_in: frozenset[str]) -> Iterator[tuple[str, str]]:
    """What the root needs, and only the running kernel's initrd has.

    Each with its package or its user.
    """
    for kind in sorted(stack.kinds):
        if PROGRAMS[kind] & before.programs and not PROGRAMS[kind] & after.programs:
            yield f"the program {'/'.join(sorted(PROGRAMS[kind]))}", f"for {kind}: apt install {PACKAGES[kind]}"
    for module, user in sorted(stack.modules.items()):
        if module in before.modules and module not in after.modules | built_in:
            yield f"the module {module}", f"for {user}"
