"""What VFs that are enabled cost a kexec: enumeration until init, and then until the VFs that VMs use are there."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from typing import Any

from lab import host, kexec
from lab.progress import LabError, say

from .vf_stage import Stage

KEEP = "pci=sriov_keep_vfs"
ENGINE = "/usr/local/sbin/sriovctl"
SIDES = ("stock", "series")
INIT = re.compile(r"^\[ *(\d+\.\d+)\] Run \S+ as init process", re.MULTILINE)


def orders(runs: int) -> Iterator[tuple[str, str]]:
    """The order of the sides in each round: each comes first in turn."""
    for number in range(runs):
        yield SIDES if number % 2 == 0 else (SIDES[1], SIDES[0])


def measure(stage: Stage, side: str, control_first: bool) -> dict[str, float]:
    """On a fresh boot, two jumps of a kernel into itself, with the VFs disabled before (control) and with them enabled.

    ``control_s`` and ``init_s`` are read from the new kernel's clock when it starts init; ``stage_s``, after the second
    kind of jump, is what `vf_stage` measures on a host whose VFs were enabled by nobody.
    """
    with stage.booted(side) as target:
        answer: dict[str, float] = {}
        for control in (control_first, not control_first):
            seconds = jump(target, side, 0 if control else target.host.pfs[0].vfs)
            answer["control_s" if control else "init_s"] = seconds
            if not control:
                answer["stage_s"] = stage.used(target, side)
        return answer


def jump(target: host.Running, side: str, vfs: int) -> float:
    """Leave the kernel with so many VFs on each PF; seconds on the new one's clock until it starts init."""
    pfs = " ".join(pf.address for pf in target.host.pfs)
    target.ssh.run(enable(pfs, "sriov_numvfs" if side == "stock" else "sriov_numvfs_no_scan", vfs))
    kexec.jump(target, ENGINE, KEEP if side == "series" else "")
    found = INIT.search(target.ssh.run("dmesg"))
    if not found:
        raise LabError(f"side {side}: the kernel's log does not say when init was started")
    return float(found.group(1))


def enable(pfs: str, file: str, number: int) -> str:
    """Shell: so many VFs on all PFs at once, through zero, which the kernel asks for between two numbers."""
    folder = "/sys/bus/pci/devices/$pf"
    writes = f"echo 0 >{folder}/sriov_drivers_autoprobe; echo 0 >{folder}/{file}"
    if number:
        writes += f"; echo {number} >{folder}/{file}"
    check = f"for pf in {pfs}; do grep -qx {number} {folder}/sriov_numvfs || exit 1; done"
    return f"for pf in {pfs}; do ({writes}) & done; wait; {check}"


def results(samples: dict[str, list[dict[str, float]]], pfs: int) -> dict[str, Any]:
    """The keys ``kexec_enumeration`` and ``vf_stage_kept`` of build/bench/results.json.

    Each kernel is compared with its own control. ``vf_stage_kept``: what the VFs cost from the new kernel's first line
    until the used ones are there, without what that kernel and its user space take anyway.
    """
    init = {side: [one["init_s"] for one in samples[side]] for side in SIDES}
    control = {side: statistics.median(one["control_s"] for one in samples[side]) for side in SIDES}
    total = {side: [one["init_s"] - control[side] + one["stage_s"] for one in samples[side]] for side in SIDES}
    middle = statistics.median
    return {
        "kexec_enumeration": {
            "stock_s": init["stock"],
            "series_s": init["series"],
            "control_s": [one["control_s"] for one in samples["series"]],
            "stock_control_s": [one["control_s"] for one in samples["stock"]],
            "pfs": pfs,
            **{f"{side}_per_pf_s": (middle(init[side]) - control[side]) / pfs for side in SIDES},
        },
        "vf_stage_kept": {
            "stock_s": total["stock"],
            "series_s": total["series"],
            "stock_over_series": middle(total["stock"]) / middle(total["series"]),
        },
    }


def bench(stage: Stage, runs: int) -> dict[str, Any]:
    samples: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for number, order in enumerate(orders(runs), start=1):
        for side in order:
            samples[side].append(measure(stage, side, control_first=number % 2 == 1))
            said = ", ".join(f"{name} {value:.2f}" for name, value in samples[side][-1].items())
            say(f"kexec, round {number} of {runs}: {side}: {said}")
    return results(samples, len(stage.host_of("stock").host.pfs))
