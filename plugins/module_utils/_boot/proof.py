# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a kernel has shown that it boots.

By the firmware and the boot loader, not by kexec alone. A kernel that was only entered by kexec has met neither its
entry, nor the command line that is in it.
"""

from __future__ import annotations

from .._model.errors import ALLOW_UNPROVEN, RefusedError
from .._model.paths import RELEASE
from .._model.update_paths import VERSION
from .._system.sysfs import Sysfs
from . import kept, proven, tried_line
from .answer import Answer, Start

BOOTLOADER = "/proc/sys/kernel/bootloader_type"
KEXEC = 0xD
"""Type of the boot loader of kexec (Documentation/arch/x86/boot.rst, type_of_loader)."""

FIRMWARE, BY_KEXEC, NOT_KNOWN = "firmware", "kexec", "unknown"


def booted_by(sysfs: Sysfs) -> str:
    """How the running kernel was started.

    ``firmware``, ``kexec`` or ``unknown`` (not on x86).
    """
    if not sysfs.exists(BOOTLOADER):
        return NOT_KNOWN
    text = sysfs.read(BOOTLOADER).strip()
    if not text.isdigit() or len(text) > 6:
        return NOT_KNOWN
    return BY_KEXEC if int(text) >> 4 == KEXEC else FIRMWARE


def require_proof(sysfs: Sysfs, answer: Answer, wanted: Start, allow_unproven: bool) -> None:
    """Refuse a default that has not been seen to boot.

    Proof is the running kernel, started by the firmware with the words of its entry, with the version that the file
    has; that an earlier boot was that; or that it is the default already, and its file the one that was kept as that.
    """
    already = wanted.kernel == answer.default.kernel and not kept.replaced(sysfs)
    if allow_unproven or already:
        return
    build, running, how = proven.of_file(sysfs, wanted.kernel), sysfs.read(RELEASE), booted_by(sysfs)
    runs = build == sysfs.read(VERSION).strip()
    if runs and how == FIRMWARE and running == wanted.release:
        tried_line.require(sysfs, wanted)
        return
    if build in proven.builds(sysfs):
        return
    if running != wanted.release:
        problem = f"{running} runs"
    elif how != FIRMWARE:
        problem = f"it runs, but was started by {how if how == BY_KEXEC else 'something that does not say so'}"
    else:
        problem = f"a kernel of that release runs, with another version than {wanted.kernel} has"
    raise RefusedError(
        f"kernel {wanted.release} has not shown that it boots through the firmware ({problem}): boot it once "
        f"(`once`), or, where it has and where kexec is enough for you, set {ALLOW_UNPROVEN}"
    )


def doubt(sysfs: Sysfs, start: Start) -> str | None:
    """Why ``start`` has not shown that it boots.

    None where it has: its file is the build that runs, started by the firmware, or one that an earlier boot has proven.
    """
    if start.kernel is None:
        return "it is no Linux kernel of this host"
    if start.missing:
        return f"{', '.join(start.missing)} does not exist"
    build = proven.of_file(sysfs, start.kernel)
    if build is None:
        return f"{start.kernel} does not show its version"
    if build in proven.builds(sysfs) or (booted_by(sysfs) == FIRMWARE and build == sysfs.read(VERSION).strip()):
        return None
    return f"build '{build}' was never seen to boot through the firmware"


def record(sysfs: Sysfs) -> None:
    """Keep that the running kernel has booted, if by the firmware."""
    if booted_by(sysfs) == FIRMWARE:
        proven.add(sysfs, *proven.running(sysfs), proven.BY_FIRMWARE)


def accept(sysfs: Sysfs, start: Start) -> None:
    """Keep that the operator takes a kernel for proven."""
    build = proven.of_file(sysfs, start.kernel)
    if build is not None and start.release is not None:
        proven.add(sysfs, build, start.release, proven.ACCEPTED)
