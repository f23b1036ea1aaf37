#!/usr/bin/env python3
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Panic into a crash kernel, and look around there.

It is the running kernel, with its command line, the update's id among it, as kdump-tools makes it. Without arguments on
the host; ``look`` in the crash kernel, from a unit that this has enabled: notes what was restored and resets the host.
"""

import ctypes
import glob
import json
import os
import subprocess
import sys
import time

SYSCALL, ON_CRASH, NO_INITRAMFS = 320, 0x2, 0x4
"""kexec_file_load(2) on x86_64 (include/uapi/linux/kexec.h)."""
FOLDER = "/var/lib/kvmfleet-lab"
TRIGGER, VMCORE, EXES = "/proc/sysrq-trigger", "/proc/vmcore", "/proc/[0-9]*/exe"
UPDATE = "/var/lib/kvmfleet-sriov/live-update"
NAME, RESUME = "kvmfleet-crash.service", "kvmfleet-sriov-resume.service"
UNIT = f"""[Unit]
ConditionPathExists=/proc/vmcore
DefaultDependencies=no
After=local-fs.target {RESUME}
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 {os.path.abspath(__file__)} look
[Install]
WantedBy=sysinit.target
"""


def text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip()


def crash() -> None:
    with open(f"/etc/systemd/system/{NAME}", "w", encoding="ascii") as file:
        file.write(UNIT)
    subprocess.run(["systemctl", "enable", "--quiet", NAME], check=True)
    os.sync()
    words = [word for word in text("/proc/cmdline").split() if not word.startswith("crashkernel=")]
    line = " ".join([*words, "nr_cpus=1", "irqpoll", "reset_devices", "systemd.unit=sysinit.target"]).encode() + b"\0"
    kernel = os.open(f"/boot/vmlinuz-{os.uname().release}", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    failed = libc.syscall(
        ctypes.c_long(SYSCALL), ctypes.c_long(kernel), ctypes.c_long(-1), ctypes.c_long(len(line)), line,
        ctypes.c_long(ON_CRASH | NO_INITRAMFS),
    )  # fmt: skip
    if failed:
        sys.exit(f"no crash kernel: {os.strerror(ctypes.get_errno())}")
    with open(TRIGGER, "w", encoding="ascii") as file:
        file.write("c")


def look() -> None:
    """Wait until the resume has ended, and note what it has done."""
    while subprocess.run(["systemctl", "is-active", "--quiet", RESUME], check=False).returncode == 0:
        time.sleep(0.2)
    exes = [os.path.realpath(path) for path in glob.glob(EXES)]
    qemus = sum(os.path.basename(path).startswith("qemu-system") for path in exes)
    states = [json.loads(text(path))["state"] for path in glob.glob(f"{UPDATE}/vms/*/claim.json")]
    phase = json.loads(text(f"{UPDATE}/status.json"))["phase"]
    resumed = sum(state != "saved" for state in states)
    crash = "yes" if os.path.exists(VMCORE) else "no"
    with open(f"{FOLDER}/crash", "w", encoding="ascii") as file:
        file.write(f"release={os.uname().release} crash={crash} phase={phase} qemus={qemus} resumed={resumed}\n")
    subprocess.run(["systemctl", "disable", "--quiet", NAME], check=False)
    os.sync()
    with open(TRIGGER, "w", encoding="ascii") as file:
        file.write("b")


if __name__ == "__main__":
    look() if sys.argv[1:] == ["look"] else crash()
