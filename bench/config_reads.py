"""How many reads of configuration space adding a VF takes, counted by QEMU on the device's side."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from typing import Any

from lab import monitor
from lab.progress import LabError, say

from .vf_stage import Stage

EVENT = "pci_cfg_read"
LINE = re.compile(rf"\b{EVENT} \S+ ([0-9a-f]{{2}}:[0-9a-f]{{2}}\.[0-7]) @")
VFS = 64
SIDES = ("stock", "series")


def reads(log: str) -> Counter[str]:
    """Reads by function (``bus:device.function`` as the guest has numbered them); QEMU hw/pci/trace-events."""
    return Counter(LINE.findall(log))


def measure(stage: Stage, side: str) -> float:
    """Reads per VF while 64 VFs are added: of the VFs, and of their PF and its root port, whose part is small."""
    with stage.booted(side) as target:
        pf = f"/sys/bus/pci/devices/{target.host.pfs[0].address}"
        log = target.folder / "qemu.log"
        target.ssh.run(f"systemctl is-system-running --wait || true; echo 0 >{pf}/sriov_drivers_autoprobe")
        before = log.stat().st_size
        enable = "sriov_numvfs" if side == "stock" else "sriov_numvfs_no_scan"
        add = "true" if side == "stock" else f"echo 0-{VFS - 1} >{pf}/sriov_scan_vf_id"
        with monitor.traced(target, EVENT):
            target.ssh.run(f"echo {VFS} >{pf}/{enable} && {add}")
        present = int(target.ssh.run(f"ls -d {pf}/virtfn* | wc -l"))
        found = reads(log.read_bytes()[before:].decode(errors="replace"))
        if present != VFS or len(found) <= VFS:
            raise LabError(
                f"side {side}: {present} VFs are present, {len(found)} functions were read, not {VFS} and more"
            )
        return found.total() / VFS


def bench(stage: Stage) -> dict[str, Any]:
    """The key ``config_reads_per_vf`` of build/bench/results.json; a count, so two boots tell whether it is stable."""
    found = {side: [measure(stage, side) for _ in range(2)] for side in SIDES}
    for side, counts in found.items():
        say(f"config reads per VF, {side}: {', '.join(f'{count:.1f}' for count in counts)}")
    middle = {side: statistics.mean(counts) for side, counts in found.items()}
    return {"config_reads_per_vf": {**middle, "series_over_stock": middle["series"] / middle["stock"]}}
