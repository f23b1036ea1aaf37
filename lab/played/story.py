"""``make try``: what the collection does, on three played hosts.

Real are the playbooks, roles, modules and filters that declare, and what the live update does on the controller.
Played are the hosts: folders of this checkout, a kernel that is a program, and a live update's part on the host.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import Any

from .. import output
from ..paths import REPOSITORY
from ..progress import LabError
from . import expected, step, update
from .fleet import Fleet
from .host import NETDEV, NEW
from .keep import wait

FOLDER = REPOSITORY / "build" / "try"
BEGIN = f"""\
Everything here is played: three hypervisors are folders below {FOLDER}/hosts,
their kernel is a program, and there are no VMs. Ansible, playbooks, roles and modules are the real ones; times of hosts
are not. Nothing outside this checkout is changed, and nothing needs root.

Declared for all three, in {FOLDER}/inventory.yml:

sriov_pfs:
  - pf: {NETDEV}
    hardware_vfs: max      # enabled in the adapter
    present_vfs: 0-3       # of these, PCI devices of the host
    vfs: [{{ids: 0-3, mac: "02:00:00:00:03:00+id", vlan: 100}}]"""
DECLARED: list[dict[str, Any]] = [
    {
        "pf": NETDEV, "hardware_vfs": "max", "present_vfs": "0-3",
        "vfs": [{"ids": "0-3", "mac": "02:00:00:00:03:00+id", "vlan": 100}],
    }
]  # fmt: skip
REFUSED = update.refusal("VM db1 has no QMP socket, so it cannot be saved", "start it with -qmp, or stop it")
LESS = json.dumps({"sriov_pfs": [{"pf": NETDEV, "hardware_vfs": "max", "present_vfs": "1-3"}]})
DECLARE = output.task("Bring the host to its desired state")


def run(keep: bool = False) -> None:
    """Play the whole story; its folder is emptied first.

    Hosts end with it, unless they are to be kept until the end of input.
    """
    _require()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    print(BEGIN)
    steps = step.Steps(Fleet(FOLDER, DECLARED), FOLDER / "output.log")
    _declare(steps)
    _update(steps)
    print(f"\nAll output: {steps.log}\nThe report with its timeline: {FOLDER}/report/latest/report.html")
    print(
        "All of it was played. `make demo` does it with real kernels on emulated hosts; docs/quick_start.md, on yours."
    )
    if keep:
        _play_updates(steps)
        wait(FOLDER)
    else:
        print("The played hosts end with this run; `make try KEEP=1` keeps them for playbooks of yours.")


def _declare(steps: step.Steps) -> None:
    first, second, _third = steps.fleet.hosts
    title = "What would change? Check mode writes nothing."
    steps.playbook(title, "sriov", "--check", "--diff", shows=DECLARE, expects=[expected.changes(*expected.ALL)])
    title = "Do it, now and at every boot. hv3 has a stock kernel, which cannot leave VFs out."
    steps.playbook(title, "sriov", shows=output.recap, expects=[expected.changes(*expected.ALL)])
    first.start_vm()
    title = "On hv1 VM web1 uses VF 0 now, and somebody declares VFs 1-3 alone: refused, and nothing is written."
    steps.playbook(title, "sriov", "-l", "hv1", "-e", LESS, shows=output.refusal, expects=[expected.IN_USE], fails=True)
    second.by_hand("ip", "link", "set", "dev", NETDEV, "vf", "2", "mac", "02:de:ad:00:00:02", "vlan", "7")
    title = "On hv2 somebody has changed VF 2 by hand. Which host differs from what is declared?"
    steps.playbook(title, "sriov", "--check", "--diff", shows=DECLARE, expects=[expected.changes("hv2")])
    title = "A host itself shows what it has, and who uses it."
    words = ("hv1", "--become", "-a", "/usr/local/sbin/sriovctl status --vfs")
    steps.step(title, "ansible", *words, shows=lambda text: text.partition("\n")[2], expects=[expected.SHOWN])


def _update(steps: step.Steps) -> None:
    _play_updates(steps)
    vms = [{"name": "web1", "heartbeat": {"journal_unit": "kvmfleet-vm-web1.service"}}]
    settings = {
        "live_update_report_dir": str(FOLDER / "report"), "live_update_vms": vms, "live_update_life_timeout_s": 10,
        "live_update_confirm_after_kexec": True, "live_update_folder": "/run/played/update",
    }  # fmt: skip
    (FOLDER / "settings.json").write_text(json.dumps(settings))
    words = ("live_update", "-e", "live_update_hosts=all", "-e", f"live_update_kernel={NEW}", "-e", "@settings.json")
    title = "Which hosts can be moved into another kernel with their VMs, and how long would each VM be out?"
    steps.playbook(title, *words, "--check", shows=output.predicted, expects=expected.PREDICTED, fails=True)
    title = (
        "hv3 refuses, which stops all of them. Without it: a canary, then the others. Host's part and times are played."
    )
    skip = ("-e", "live_update_on_refused=skip")
    steps.playbook(title, *words, *skip, shows=output.timeline, expects=expected.UPDATED, fails=True)


def _play_updates(steps: step.Steps) -> None:
    """Have two hosts ready for their update, and hv3 refuse."""
    begin = time.time()
    for number, host in enumerate(steps.fleet.hosts):
        update.play(host, begin + 60 * number, *([] if number < 2 else [REFUSED]))


def _require() -> None:
    """Raise LabError where user namespaces are off."""
    argv = ["unshare", "--user", "--map-root-user", "--mount", "true"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(
            f"{' '.join(argv)}: {done.stderr.strip()}. Played hosts need user namespaces, which are off here: allow "
            "them (sysctl kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0), or "
            "run this as root"
        )
