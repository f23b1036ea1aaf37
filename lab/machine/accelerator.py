"""KVM where it works, else TCG, decided by booting a kernel.

A /dev/kvm that opens may still hang a guest for ever.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from ..paths import cache, key
from ..progress import say

TIMEOUT_S = 20.0


def _machine() -> str:
    """Key of this boot of this machine, and of QEMU.

    The answer depends on them.
    """
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True).stdout
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    return key([os.uname().release, boot, qemu])


def boots(kernel: Path, accelerator: str, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether a kernel boots until it misses its root file system.

    There ``panic=-1`` resets the guest, and QEMU ends. A real kernel, because a guest of a few instructions runs even
    where a standard one hangs.
    """
    argv = ["qemu-system-x86_64", "-accel", accelerator, "-M", "q35", "-m", "512", "-display", "none", "-nodefaults"]
    argv += ["-no-reboot", "-serial", "stdio", "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(argv, timeout=timeout_s, capture_output=True, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and b"Kernel panic" in done.stdout


def accelerator(kernel: Path) -> str:
    """The accelerator, ``kvm`` or ``tcg``.

    The answer is kept until this machine reboots. ``KVMFLEET_ACCEL`` overrides it.
    """
    if "KVMFLEET_ACCEL" in os.environ:
        return os.environ["KVMFLEET_ACCEL"]
    answer = cache() / "accelerator" / _machine()
    if answer.exists():
        return answer.read_text().strip()
    begin = time.monotonic()
    found = "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) and boots(kernel, "kvm") else "tcg"
    say(f"accelerator: {found} (found out in {time.monotonic() - begin:.1f} s)")
    answer.parent.mkdir(parents=True, exist_ok=True)
    answer.write_text(found + "\n")
    return found
