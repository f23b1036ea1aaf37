"""Time Ansible's check of a host that is as declared.

The host has all its VFs; Ansible's ping of the same host is the measure beside it.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from lab import playbook
from lab.fleet import inventory
from lab.fleet.fleet import Host, load
from lab.machine import host
from lab.paths import REPOSITORY
from lab.progress import LabError

from . import kexec_stage

HERE = Path(__file__).resolve().parent
ROUNDS = 7
TASKS = ("ping", "sriov_pf")
"""Names of the tasks in unchanged_host_round.yml."""
PREFIXES = ("", "drivers_")
"""What the names of figures begin with, for each of `documents`."""


def documents(target: Host) -> dict[str, list[dict[str, Any]]]:
    """The declared PFs, by prefix of the names of their figures.

    Without a prefix they are numbers PF by PF; those of ``drivers_`` choose all PFs by one selector and bind every VF
    to vfio-pci, as a host for VMs does.
    """
    state = {"present_vfs": "all", "drivers_autoprobe": False}
    numbers = [{"pf": pf.address, "hardware_vfs": pf.vfs, **state} for pf in target.pfs]
    (number,) = {pf.vfs for pf in target.pfs}
    vfs = [{"ids": "all", "driver": "vfio-pci"}]
    chosen = {"pf": {"driver": "nvme", "all": True}, "hardware_vfs": number, **state, "vfs": vfs}
    return dict(zip(PREFIXES, (numbers, [chosen])))


def measure(target: host.Running) -> dict[str, float]:
    """Measure ``ping_s`` and ``module_s``, medians of rounds, for each of `documents`.

    The host is up, with whatever VFs. Figures are seconds of whole tasks as the controller sees them, over one ssh
    connection that stays open, without files on the host (pipelining): lab/ansible.cfg. The playbook fails when a check
    reports a change.
    """
    pfs = target.host.pfs
    nothing = kexec_stage.disable(" ".join(pf.address for pf in pfs))
    # without an IOMMU, vfio-pci takes a device only when configured to (drivers/vfio/group.c, vfio_group_find_or_alloc)
    unsafe = "echo Y >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
    target.ssh.run(f"systemctl is-system-running --wait || true; {unsafe}; {nothing}")
    hosts = inventory.write(load(target.fleet), [target])
    figures: dict[str, float] = {}
    for prefix, document in documents(target.host).items():
        report = play(target.host.name, hosts, document, target.folder / "unchanged_host", ROUNDS)
        figures |= {f"{prefix}{name}": value for name, value in medians(seconds(report), ROUNDS).items()}
        check_vfs(target, bound=bool(prefix))
    return figures


def check_vfs(target: host.Running, *, bound: bool) -> None:
    """Raise `LabError` unless all VFs are present, and ``bound`` as given.

    Bound means bound to vfio-pci.
    """
    wanted = sum(pf.vfs for pf in target.host.pfs)
    count = "ls -d /sys/bus/pci/devices/*/physfn | wc -l; ls /sys/bus/pci/drivers/vfio-pci | grep -c ^0 || true"
    present, taken = map(int, target.ssh.run(count).split())
    if (present, taken) != (wanted, wanted if bound else 0):
        raise LabError(f"{present} VFs are present, not {wanted}; {taken} are bound to vfio-pci")


def play(name: str, hosts: Path, document: list[dict[str, Any]], folder: Path, rounds: int) -> str:
    """Run the playbook and return its report.

    The report is JUnit XML, in which each task has its time (ansible-core, callback junit).
    """
    shutil.rmtree(folder, ignore_errors=True)
    report = {
        "ANSIBLE_CALLBACKS_ENABLED": "junit",
        "JUNIT_OUTPUT_DIR": str(folder),
        "JUNIT_HIDE_TASK_ARGUMENTS": "true",
    }
    given = json.dumps({"unchanged_rounds": rounds, "unchanged_pfs": document})
    words = ("--limit", name, "-e", given)
    command = playbook.command(HERE / "unchanged_host.yml", hosts, *words)
    status = subprocess.run(
        command, env=playbook.environment() | report, cwd=REPOSITORY, stdin=subprocess.DEVNULL
    ).returncode
    if status:
        raise LabError(f"the checks of host {name} ended with status {status}: see above")
    (found,) = folder.glob("*.xml")
    return found.read_text()


def seconds(report: str) -> dict[str, list[float]]:
    """The times of each of `TASKS`, in their order.

    A case is named ``[HOST] PLAY: TASK``.
    """
    times: dict[str, list[float]] = {task: [] for task in TASKS}
    for case in ElementTree.fromstring(report).iter("testcase"):
        task = case.attrib["name"].rpartition(": ")[2]
        if task in times:
            times[task].append(float(case.attrib["time"]))
    return times


def medians(times: dict[str, list[float]], rounds: int) -> dict[str, float]:
    """Medians without the first round, which opens connections and fills caches."""
    if any(len(times[task]) != rounds + 1 for task in TASKS):
        raise LabError(f"{rounds + 1} rounds were asked for, these were timed: {times}")
    ping, module = (statistics.median(times[task][1:]) for task in TASKS)
    return {"ping_s": ping, "module_s": module}


def results(samples: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """The key ``unchanged_host``: seconds of each boot, ratio of medians.

    It is one of build/bench/results.json.
    """
    figures: dict[str, Any] = {}
    for prefix in PREFIXES:
        ping, module = ([one[f"{prefix}{key}"] for one in samples["series"]] for key in ("ping_s", "module_s"))
        ratio = statistics.median(module) / statistics.median(ping)
        figures |= {f"{prefix}module_s": module, f"{prefix}ping_s": ping, f"{prefix}ratio": ratio}
    return {"unchanged_host": figures}
