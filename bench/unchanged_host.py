"""What it takes Ansible to find that a host with all its VFs is as declared, beside what its ping takes there."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from lab import ansible, host, inventory
from lab.fleet import load
from lab.paths import REPOSITORY
from lab.progress import LabError

from . import kexec_stage

HERE = Path(__file__).resolve().parent
ROUNDS = 7
TASKS = ("ping", "sriov_pf")
"""Names of the tasks in unchanged_host_round.yml."""


def measure(target: host.Running) -> dict[str, float]:
    """``ping_s`` and ``module_s``, medians of some rounds, on a host that is up, with whatever VFs.

    Seconds of whole tasks as the controller sees them, over one ssh connection that stays open, without files on the
    host (pipelining): lab/ansible.cfg. The playbook fails when a check reports a change.
    """
    pfs = target.host.pfs
    nothing = kexec_stage.disable(" ".join(pf.address for pf in pfs))
    target.ssh.run(f"systemctl is-system-running --wait || true; {nothing}")
    hosts = inventory.write(load(target.fleet), [target])
    report = play(target.host.name, hosts, target.folder / "unchanged_host", ROUNDS)
    present, wanted = int(target.ssh.run("ls -d /sys/bus/pci/devices/*/physfn | wc -l")), sum(pf.vfs for pf in pfs)
    if present != wanted:
        raise LabError(f"{present} VFs are present, not {wanted}")
    return medians(seconds(report), ROUNDS)


def play(name: str, hosts: Path, folder: Path, rounds: int) -> str:
    """The report of the playbook: JUnit XML, in which each task has its time (ansible-core, callback junit)."""
    shutil.rmtree(folder, ignore_errors=True)
    report = {
        "ANSIBLE_CALLBACKS_ENABLED": "junit",
        "JUNIT_OUTPUT_DIR": str(folder),
        "JUNIT_HIDE_TASK_ARGUMENTS": "true",
    }
    words = ("--limit", name, "-e", f"unchanged_rounds={rounds}")
    command = ansible.command(HERE / "unchanged_host.yml", hosts, *words)
    status = subprocess.run(
        command, env=ansible.environment() | report, cwd=REPOSITORY, stdin=subprocess.DEVNULL
    ).returncode
    if status:
        raise LabError(f"the checks of host {name} ended with status {status}: see above")
    (found,) = folder.glob("*.xml")
    return found.read_text()


def seconds(report: str) -> dict[str, list[float]]:
    """The times of each of `TASKS`, in their order; a case is named ``[HOST] PLAY: TASK``."""
    times: dict[str, list[float]] = {task: [] for task in TASKS}
    for case in ElementTree.fromstring(report).iter("testcase"):
        task = case.attrib["name"].rpartition(": ")[2]
        if task in times:
            times[task].append(float(case.attrib["time"]))
    return times


def medians(times: dict[str, list[float]], rounds: int) -> dict[str, float]:
    """Without the first round, which opens the connection and fills caches."""
    if any(len(times[task]) != rounds + 1 for task in TASKS):
        raise LabError(f"{rounds + 1} rounds were asked for, these were timed: {times}")
    ping, module = (statistics.median(times[task][1:]) for task in TASKS)
    return {"ping_s": ping, "module_s": module}


def results(samples: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """The key ``unchanged_host`` of build/bench/results.json: seconds of each boot, and the ratio of medians."""
    ping, module = ([one[key] for one in samples["series"]] for key in ("ping_s", "module_s"))
    ratio = statistics.median(module) / statistics.median(ping)
    return {"unchanged_host": {"module_s": module, "ping_s": ping, "ratio": ratio}}
