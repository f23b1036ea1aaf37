#!/usr/bin/env python3
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load the running kernel again and jump into it, on the host.

No firmware, no boot loader, VFs stay as they are.

PYTHONPATH=FOLDER kexec_program.py [WORD ...], where FOLDER has the engine as the package kvmfleet_sriov, as the node
program has

The words are added to the command line, in the place of those that an earlier jump has added.
"""

import os
import sys

MARK = "kvmfleet.jump"
"""Mark before the words of a jump on a command line.

The kernel takes a word with a dot for a module's parameter and ignores it.
"""


def with_words(running: str, words: list[str]) -> str:
    """The running kernel's command line with new words of a jump.

    Without words, it has no mark either.
    """
    kept = running.split()
    kept = kept[: kept.index(MARK)] if MARK in kept else kept
    return " ".join([*kept, MARK, *words] if words else kept)


def main(words: list[str]) -> None:
    from kvmfleet_sriov._live_update.jump import jump
    from kvmfleet_sriov._live_update.kexec import Kexec, command_line
    from kvmfleet_sriov._system import process  # only a host has it
    from kvmfleet_sriov._system.sysfs import Sysfs

    sysfs, release = Sysfs("/"), os.uname().release
    initrd = f"/boot/initrd.img-{release}"
    kexec = Kexec(sysfs, process.run)
    text = command_line(with_words(sysfs.read("/proc/cmdline"), words), None, "kvmfleet.update")
    kexec.load(f"/boot/vmlinuz-{release}", initrd if os.path.exists(initrd) else None, text)
    jump(kexec)


if __name__ == "__main__":
    main(sys.argv[1:])
