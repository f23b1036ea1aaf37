"""Time what enabled VFs cost a kexec.

Enumeration until init, and then until the VFs that VMs use are there.
"""

from __future__ import annotations

import re
import statistics
from typing import Any

from lab.machine import host
from lab.progress import LabError
from lab.scenarios import kexec

from . import vf_stage

KEEP = "pci=sriov_keep_vfs"
ENGINE = "/usr/local/sbin/sriovctl"
SIDES = ("stock", "series")
INIT = re.compile(r"^\[ *(\d+\.\d+)\] Run \S+ as init process", re.MULTILINE)


def measure(target: host.Running, side: str) -> dict[str, float]:
    """Time two jumps of a kernel into itself: with VFs enabled, without.

    The first is with the VFs as `vf_stage` has left them, the second with none (control). ``init_s`` and ``control_s``
    are read from the new kernel's clock when it starts init; ``stage_s``, after the first jump, is what `vf_stage`
    measures on a host whose VFs were enabled by nobody.
    """
    init = jump(target, side)
    again = vf_stage.measure(target, side)
    target.ssh.run(disable(" ".join(pf.address for pf in target.host.pfs)))
    return {
        "init_s": init,
        "stage_s": again["used_s" if side == "stock" else "engine_s"],
        "control_s": jump(target, side),
    }


def jump(target: host.Running, side: str) -> float:
    """Seconds on the new kernel's clock until it starts init."""
    kexec.jump(target, ENGINE, KEEP if side == "series" else "")
    found = INIT.search(target.ssh.run("dmesg"))
    if not found:
        raise LabError(f"side {side}: the kernel's log does not say when init was started")
    return float(found.group(1))


def disable(pfs: str) -> str:
    """The shell command that disables all VFs of PFs.

    It writes the file that all kernels have.
    """
    file = "/sys/bus/pci/devices/$pf/sriov_numvfs"
    return f"for pf in {pfs}; do echo 0 >{file} & done; wait; for pf in {pfs}; do grep -qx 0 {file} || exit 1; done"


def results(samples: dict[str, list[dict[str, float]]], pfs: int) -> dict[str, Any]:
    """The keys ``kexec_enumeration`` and ``vf_stage_kept`` of build/bench/results.json.

    Each jump is compared with the control of the same boot. ``vf_stage_kept``: what the VFs cost from the new kernel's
    first line until the used ones are there, without what that kernel and its user space take anyway; its ratio is None
    where boots differ by more than that.
    """
    more = {side: [one["init_s"] - one["control_s"] for one in samples[side]] for side in SIDES}
    total = {side: [x + one["stage_s"] for x, one in zip(more[side], samples[side], strict=True)] for side in SIDES}
    stock, series = (statistics.median(total[side]) for side in SIDES)
    return {
        "kexec_enumeration": {
            "stock_s": [one["init_s"] for one in samples["stock"]],
            "series_s": [one["init_s"] for one in samples["series"]],
            "control_s": [one["control_s"] for one in samples["series"]],
            "stock_control_s": [one["control_s"] for one in samples["stock"]],
            "pfs": pfs,
            **{f"{side}_per_pf_s": statistics.median(more[side]) / pfs for side in SIDES},
        },
        "vf_stage_kept": {
            "stock_s": total["stock"],
            "series_s": total["series"],
            "stock_over_series": stock / series if series > 0 else None,
        },
    }
