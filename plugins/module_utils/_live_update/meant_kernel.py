# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel that an update was armed for, and others.

A token on the command line alone proves nothing: a crash kernel has it, and whoever loads another image with
``--reuse-cmdline`` takes it along.
"""

from __future__ import annotations

from .._model.errors import BadInputError, KernelError
from .._model.paths import COMMAND_LINE, RELEASE
from .._model.update_paths import VERSION, VMCORE
from .._system.sysfs import Sysfs
from .manifest import Kernel

CRASH_PARAMETER = "elfcorehdr="
"""A crash kernel's parameter, besides those of the crashed kernel.

Documentation/admin-guide/kdump/kdump.rst; arm64 has it in its device tree, and only `VMCORE` shows it.
"""


def refuse_crash_kernel(sysfs: Sysfs) -> None:
    """Raise `BadInputError` in a crash kernel."""
    words = sysfs.read(COMMAND_LINE).split()
    if sysfs.exists(VMCORE) or any(word.startswith(CRASH_PARAMETER) for word in words):
        raise BadInputError(
            "this is a crash kernel, whose little memory is for a dump: nothing is restored, and nothing forgotten"
        )


def difference(sysfs: Sysfs, kernel: Kernel) -> str | None:
    """How the running kernel differs from the armed one, None if not.

    By its release, and by its build (uname -v) where the image showed it.
    """
    release, build = sysfs.read(RELEASE), build_of(sysfs)
    if release != kernel.release_after:
        return f"this is kernel {release}, the update was armed for {kernel.release_after}"
    if kernel.build_after is not None and build is not None and build != kernel.build_after:
        return f"this kernel {release} is the build '{build}', the update was armed for '{kernel.build_after}'"
    return None


def build_of(sysfs: Sysfs) -> str | None:
    """Version text of the running kernel (uname -v), None when unknown."""
    try:
        return sysfs.read(VERSION) or None
    except KernelError:
        return None


def require(sysfs: Sysfs, kernel: Kernel) -> None:
    """Raise `BadInputError` in another kernel than the armed one.

    Saved VMs go by their policies there, later in the boot.
    """
    found = difference(sysfs, kernel)
    if found is not None:
        raise BadInputError(
            f"{found}: VMs go by their policy on_other_kernel later in this boot; "
            "`sriovctl live-update restore` brings them back at once"
        )
