"""Kexec of a host into its own kernel, with other words.

The words are on the command line.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import time
from pathlib import Path

from ..machine import host
from ..progress import LabError

PROGRAM = Path(__file__).with_name("kexec_program.py")
TARGET = "/root/kexec_program.py"


def jump(target: host.Running, engine: str, words: str) -> None:
    """Jump, and wait until the next kernel answers.

    ``engine``: folder on the host with the engine's package.
    """
    target.ssh.put(PROGRAM, TARGET)
    before = boot_id(target)
    more = " ".join(shlex.quote(word) for word in words.split())
    target.ssh.run(f"systemd-run --quiet --no-block --setenv=PYTHONPATH={engine} python3 {TARGET} {more}")
    wait_for_another_boot(target, before)


def boot_id(target: host.Running) -> str:
    return target.ssh.run("cat /proc/sys/kernel/random/boot_id", timeout_s=60).strip()


def wait_for_another_boot(target: host.Running, before: str, deadline_s: float = 900) -> None:
    """Wait until the host reports another boot id.

    A request that the jump cuts off fails, or has no answer for ever: it is repeated.
    """
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        with contextlib.suppress(LabError, subprocess.TimeoutExpired):
            if boot_id(target) != before:
                return
        time.sleep(1)
    raise LabError(f"{target.host.name} did not jump into another kernel: see its console.log")
