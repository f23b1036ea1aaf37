"""Kernels that are tried on an emulated host, and do not stay.

One is deployed by the playbook, tried, judged and confirmed. Then it is tried with another default: nobody confirms it,
it is not healthy, it panics, it hangs until the watchdog resets the host, or its guard does not start. Each time the
host comes back to the default by itself, and says why.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import playbook
from ..faults.prepare import until
from ..fleet import inventory, operations
from ..kernels import packages
from ..machine.host import Running
from ..paths import REPOSITORY
from ..progress import LabError, say, step
from . import demo

FLEET = "faults"
WAYS: dict[str, object] = {
    "kernel_deploy_boot": "once", "kernel_deploy_health_s": 400, "kernel_deploy_confirm_s": 180,
}  # fmt: skip
"""Its guard needs a minute to see a healthy host.

Two CPUs are emulated by one.
"""
REBOOT = "sync; env SYSTEMCTL_SKIP_AUTO_KEXEC=1 systemctl reboot || true"
NO_GUARD = "/etc/systemd/system/kvmfleet-sriov-boot-guard.service.d"
WITHOUT_GUARD = f"mkdir -p {NO_GUARD}; printf '[Unit]\\nConditionPathExists=/nowhere\\n' >{NO_GUARD}/no.conf; sync"
WITH_GUARD = f"rm -rf {NO_GUARD}; systemctl daemon-reload; systemctl start kvmfleet-sriov-boot-guard || true"
HANG = "kill -SEGV 1"
"""systemd stops in its handler of crashes, and feeds no watchdog.

Programs of a real-time class do not hang a kernel of today: its fair server leaves the others a twentieth.
"""


ENDED = "it ended before it was confirmed"


@dataclass(frozen=True)
class Row:
    """A trial that must fail.

    ``says``: part of the reason; ``arm``: arguments of boot_trial; ``before``: a command on the old kernel, ``amid`` on
    the new one once it is healthy, ``after`` on the old one again.
    """

    name: str
    says: str
    arm: dict[str, Any] = field(default_factory=dict)
    before: str = "true"
    amid: str = ""
    after: str = "true"


ROWS = (
    Row("nobody confirms it", "it was not confirmed within 180 s", {"confirm_s": 180}),
    Row("it is not healthy", "/bin/false", {"health_commands": [["/bin/false"]], "health_s": 100}),
    Row(
        "it hangs, and the watchdog resets the host", "it ended before it was confirmed", {"watchdog_s": 30}, amid=HANG
    ),
    Row("it panics", "it ended before it was confirmed", {"panic_s": 5}, amid="echo c >/proc/sysrq-trigger"),
    Row("its guard does not start", "it never came to its guard", before=WITHOUT_GUARD, after=WITH_GUARD),
)


def trials(keep: bool) -> None:
    """Run the scenario; the fleet stops at its end unless ``keep``."""
    operations.build()
    (host,) = operations.up(FLEET)
    kernel = packages.built("series")
    path, extra = inventory.path(FLEET), demo.settings(kernel) | WAYS
    try:
        old = host.ssh.run("uname -r").strip()
        demo.playbooks(path, extra, "kernel_deploy")
        _hold(host.ssh.run("uname -r").strip() == kernel.release, "the playbook ended on another kernel")
        _hold(entry(path)["default"]["release"] == kernel.release, "the playbook has left another default")
        entry(path, default=old)
        for row in ROWS:
            with step(f"a kernel is tried: {row.name}"):
                fails(host, path, row, old, kernel.release)
    finally:
        if not keep:
            operations.down(FLEET)
    print(f"trials: {len(ROWS) + 1} passed, 0 failed", flush=True)


def fails(host: Running, path: Path, row: Row, old: str, new: str) -> None:
    """Try the kernel; the host must come back, and say why."""
    host.ssh.run(row.before)
    trial(path, state="armed", release=new, **row.arm)
    before = _boot(host)
    host.ssh.run(REBOOT)
    if row.amid:
        _until(lambda: _boot(host) != before and trial(path)["trial"]["phase"] == "healthy", "the kernel that is tried")
        _hold(host.ssh.run("uname -r").strip() == new, f"{row.name}: another kernel was tried")
        with contextlib.suppress(LabError, subprocess.SubprocessError):
            host.ssh.run(row.amid, timeout_s=20)
    _until(lambda: _boot(host) != before and host.ssh.run("uname -r").strip() == old, "the kernel before")
    host.ssh.run(row.after)
    _until(lambda: trial(path)["trial"]["phase"] == "failed", "the guard's verdict")
    found, answer = trial(path)["trial"], entry(path)
    _hold(row.says in found["reason"], f"{row.name}: the host says '{found['reason']}'")
    _hold(answer["next"]["release"] == answer["default"]["release"] == old, f"{row.name}: {answer['next']} waits")
    _hold(new not in _proven(host), f"{row.name}: the kernel counts as proven")
    say(f"{row.name}: {found['reason']}")


def trial(path: Path, **arguments: object) -> dict[str, Any]:
    return module(path, "boot_trial", arguments)


def entry(path: Path, **arguments: object) -> dict[str, Any]:
    return module(path, "boot_entry", arguments)


def module(path: Path, name: str, arguments: dict[str, object]) -> dict[str, Any]:
    """Run a module of the installed collection; returns its result."""
    argv = [str(playbook.BIN / "ansible"), "all", "-i", str(path), "-m", f"kvmfleet.sriov.{name}"]
    done = subprocess.run(
        [*argv, *(("-a", json.dumps(arguments)) if arguments else ())],  # ansible takes {} for free text
        env=playbook.environment() | {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        cwd=REPOSITORY, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        raise LabError(f"{name} {arguments} ended with status {done.returncode}: {done.stdout[-1500:]}")
    return dict(json.loads(done.stdout.partition(" => ")[2]))


def _boot(host: Running) -> str:
    return host.ssh.run("cat /proc/sys/kernel/random/boot_id").strip()


def _proven(host: Running) -> str:
    return host.ssh.run("cat /var/lib/kvmfleet-sriov/boot/proven.json")


def _until(done: Callable[[], bool], what: str) -> None:
    """Wait, with a host that does not answer now and then."""

    def quietly() -> bool:
        with contextlib.suppress(LabError, subprocess.SubprocessError, ValueError):
            return done()
        return False

    until(quietly, what, pause_s=3)


def _hold(true: bool, text: str) -> None:
    if not true:
        raise LabError(text)
