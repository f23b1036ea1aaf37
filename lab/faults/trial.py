"""One kernel that is tried on an emulated host: prepare, try, judge.

One is deployed by the playbook, tried, judged and confirmed. The others are tried with another default: each time the
host comes back to that by itself, and says why.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from typing import Any

from ..fleet import inventory
from ..kernels import packages
from ..machine.host import Running
from ..progress import LabError, step
from ..scenarios import demo
from . import boot_modules, logs, prepare
from .rows import FLEET
from .trial_rows import LEFT, Trial

REBOOT = "sync; env SYSTEMCTL_SKIP_AUTO_KEXEC=1 systemctl reboot || true"
STARTED = "systemctl is-system-running --wait || true"
"""Awaits the end of the boot.

Units that fail later would be faults of the kernel that is tried.
"""
LOGS = {
    "status": "cat /var/lib/kvmfleet-sriov/boot/*.json",
    "boots": "uname -r; cat /proc/cmdline; grub-editenv /boot/grub/grubenv list",
}
FAILURES = (LabError, subprocess.SubprocessError, OSError, ValueError, LookupError, TypeError)
"""Of hosts that do not answer, or not as they should."""


def run(host: Running, row: Trial, kernel: packages.Kernel) -> str:
    """Run a row; why it failed, empty for a pass."""
    try:
        old = other_kernel(host, kernel.release)
        with step(f"{row.name}: the host is prepared"):
            prepared(host, old)
        if row.says:
            fails(host, row, old, kernel.release)
        else:
            deploy(host, row, kernel)
    except FAILURES as error:
        return f"{type(error).__name__}: {error}"
    finally:
        logs.keep(host, row.name, LOGS)
    return ""


def other_kernel(host: Running, release: str) -> str:
    """The kernel of the host that is not tried, Debian's own."""
    prepare.awake(host)
    names = [name.removeprefix("vmlinuz-") for name in host.ssh.run("cd /boot; ls -d vmlinuz-*").split()]
    others = [name for name in names if name != release]
    _hold(len(others) == 1, f"the host has the kernels {names}: not one beside {release}")
    return others[0]


def prepared(host: Running, old: str) -> None:
    """Have the old kernel as the default, without trials and VMs.

    It runs, or the one that was just deployed does.
    """
    host.ssh.run(LEFT)
    boot_modules.entry(FLEET, default=old, once="")
    found = boot_modules.trial(FLEET)
    phase = _phase(found)
    deployed = phase == "confirmed" and found["runs"] and prepare.succeeds(host, prepare.NO_UPDATE)
    if found["vms"] or not (deployed or (phase in ("", "failed") and prepare.is_plain(host, old))):
        prepare.idle(host, old)
        boot_modules.trial(FLEET, state="withdrawn")
    host.ssh.run(STARTED)


def deploy(host: Running, row: Trial, kernel: packages.Kernel) -> None:
    """Deploy the kernel by the playbook, which tries and confirms it."""
    demo.playbooks(inventory.path(FLEET), demo.settings(kernel) | dict(row.arm), "kernel_deploy")
    _hold(host.ssh.run("uname -r").strip() == kernel.release, "the playbook ended on another kernel")
    _hold(boot_modules.entry(FLEET)["default"]["release"] == kernel.release, "the playbook has left another default")


def fails(host: Running, row: Trial, old: str, new: str) -> None:
    """Try the kernel; the host must come back, and say why."""
    host.ssh.run(row.before)
    boot_modules.trial(FLEET, state="armed", release=new, **row.arm)
    before = _boot(host)
    host.ssh.run(REBOOT)
    if row.amid:
        with step(f"{row.name}: the kernel is tried"):
            _until(lambda: _boot(host) != before and _now() == "healthy", "the kernel that is tried")
        _hold(host.ssh.run("uname -r").strip() == new, "another kernel was tried")
        with contextlib.suppress(LabError, subprocess.SubprocessError):
            host.ssh.run(row.amid, timeout_s=20)
    with step(f"{row.name}: the host comes back"):
        _until(lambda: _boot(host) != before and host.ssh.run("uname -r").strip() == old, "the kernel before")
    host.ssh.run(row.after)
    _until(lambda: _now() == "failed", "the guard's verdict")
    reason, answer = boot_modules.trial(FLEET)["trial"]["reason"], boot_modules.entry(FLEET)
    _hold(row.says in reason, f"the host says '{reason}'")
    _hold(answer["next"]["release"] == answer["default"]["release"] == old, f"{answer['next']} waits")
    _hold(prepare.succeeds(host, row.evidence.replace("NEW", new)), f"its evidence is not there: {row.evidence}")
    _hold(new not in host.ssh.run("cat /var/lib/kvmfleet-sriov/boot/proven.json"), "the kernel counts as proven")


def _now() -> str:
    return _phase(boot_modules.trial(FLEET))


def _phase(found: dict[str, Any]) -> str:
    """Where the trial stands, empty without one."""
    return str((found["trial"] or {"phase": ""})["phase"])


def _boot(host: Running) -> str:
    return host.ssh.run("cat /proc/sys/kernel/random/boot_id").strip()


def _until(done: Callable[[], bool], what: str) -> None:
    """Wait, with a host that does not answer now and then."""

    def quietly() -> bool:
        with contextlib.suppress(LabError, subprocess.SubprocessError, ValueError):
            return done()
        return False

    prepare.until(quietly, what, pause_s=3)


def _hold(true: bool, text: str) -> None:
    if not true:
        raise LabError(text)
