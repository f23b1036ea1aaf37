"""The playbook ``rehearse`` in mode boot, on an emulated host.

Refused while a VM runs, by its name; killed after its start and run again, until the throw-away VMs are back after a
real jump; then nothing of it is left.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from .. import playbook
from ..faults import guests
from ..fleet import inventory, operations
from ..kernels import packages
from ..machine import vm
from ..machine.host import Running
from ..paths import REPOSITORY
from ..progress import LabError, say, step
from . import demo, kills
from .kills import Kill

FLEET = "faults"
WORDS: dict[str, object] = {
    "live_update_rehearsal_mode": "boot", "live_update_rehearsal_accelerator": "tcg", "live_update_rehearsal_vms": 3,
    "live_update_rehearsal_vm_mib": [16, 48], "live_update_rehearsal_mib": 64,
}  # fmt: skip
KILL = Kill("rehearsal", "Wait until the host has ended the update", 2, kills.UNDER_WAY)
LEFT = (
    "find /var/lib/kvmfleet-sriov /run/kvmfleet-sriov -path '*/rehearsal' -o -path '*live-update/*' -type f; "
    "pgrep -a qemu-system || true"
)
KNOWN = "cat /var/lib/kvmfleet-sriov/rehearsal.json"


def rehearse(keep: bool) -> None:
    """Run the scenario; the fleet stops at its end unless ``keep``."""
    operations.build()
    (host,) = operations.up(FLEET)
    kernel = packages.built("series")
    path, extra = inventory.path(FLEET), demo.settings(kernel) | WORDS
    try:
        demo.playbooks(path, extra, "sriov", "kernel_deploy")
        guests.start(host.ssh, host.host)
        refused(path, extra, host.host.vms[0].name)
        for one in host.host.vms:
            host.ssh.run(f"systemctl stop {vm.unit(one)}")
        with step("kill the playbook while the host is on its way"):
            kills.run_until(command(path, extra), KILL)
        demo.playbooks(path, extra, "rehearse")
        check(host, kernel.release)
    finally:
        if not keep:
            operations.down(FLEET)
    print("rehearse: 3 passed, 0 failed", flush=True)


def command(path: Path, extra: dict[str, object]) -> list[str]:
    return playbook.command("kvmfleet.sriov.rehearse", path, "-e", json.dumps(extra))


def refused(path: Path, extra: dict[str, object], name: str) -> None:
    """Require a refusal of a host with VMs, by a name."""
    with step("a host with VMs is refused"):
        done = subprocess.run(
            command(path, extra), env=playbook.environment(), cwd=REPOSITORY, capture_output=True, text=True
        )
    if not done.returncode or "VMs run here: " not in done.stdout or f"{name} (process" not in done.stdout:
        raise LabError(f"a host with VM {name} was not refused by its name:\n{done.stdout[-3000:]}")


def check(host: Running, release: str) -> None:
    """Require a measured boot, and that nothing else stays."""
    known = json.loads(host.ssh.run(KNOWN))
    boot = known["boots"].get(release, {})
    if not 0 < boot.get("seconds", 0) < 300 or boot["memory_mib"] != 80 or not known["disks"]:
        raise LabError(f"the rehearsal has kept {known}")
    left = host.ssh.run(LEFT).strip()
    if left or host.ssh.run("uname -r").strip() != release:
        raise LabError(f"the rehearsal has left something, or no jump behind it: {left}")
    say(f"kernel {release}: {boot['seconds']:.1f} s from the kexec to the resume unit")
