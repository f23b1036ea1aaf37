"""Count the reads of configuration space that adding a VF takes.

QEMU counts them, on the device's side.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from typing import Any

from lab.machine import host, monitor
from lab.progress import LabError

EVENT = "pci_cfg_read"
LINE = re.compile(rf"\b{EVENT} \S+ ([0-9a-f]{{2}}:[0-9a-f]{{2}}\.[0-7]) @")
VFS = 64


def reads(log: str) -> Counter[str]:
    """Reads by function (``bus:device.function``), with the guest's numbers.

    The lines are those of QEMU's hw/pci/trace-events.
    """
    return Counter(LINE.findall(log))


def measure(target: host.Running, side: str) -> dict[str, float]:
    """Count ``reads`` per VF while 64 VFs are added.

    They are those of the VFs, and of their PF and its root port, whose part is small. The host is up, and its VFs are
    disabled.
    """
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
        raise LabError(f"side {side}: {present} VFs are present, {len(found)} functions were read, not {VFS} and more")
    return {"reads": found.total() / VFS}


def results(samples: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """The key ``config_reads_per_vf`` of build/bench/results.json."""
    counts = {side: statistics.median(one["reads"] for one in samples[side]) for side in ("stock", "series")}
    return {"config_reads_per_vf": {**counts, "series_over_stock": counts["series"] / counts["stock"]}}
