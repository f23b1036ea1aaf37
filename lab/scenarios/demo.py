"""Demo: two emulated hypervisors are updated while their VMs keep running.

From nothing to the main job done, into the patched kernel.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from .. import playbook
from ..fleet import inventory, operations, testbed
from ..kernels import packages
from ..kernels.flavour import DEMO
from ..output import timeline
from ..paths import REPOSITORY
from ..progress import LabError, say

FLEET = "demo"
FOLDER = REPOSITORY / "build" / "demo"
REPORT = FOLDER / "latest"
LOG = FOLDER / "playbooks.log"
# Everything is emulated, guests twice: what takes seconds on hardware takes a minute here.
PATIENCE = {
    "live_update_budget_s": 900, "live_update_timeout_s": 3600, "live_update_life_timeout_s": 300,
    "live_update_options": {"unplug_s": 120},
}  # fmt: skip
AT_ONCE = {"live_update_serial": ["100%"]}
"""One batch, to save time; by default the first host is alone."""


def settings(kernel: packages.Kernel) -> dict[str, object]:
    """Variables of the playbooks, for their command line."""
    manifest = str(kernel.folder / "manifest.json")
    update: dict[str, object] = {"live_update_kernel": kernel.release, "live_update_report_dir": str(FOLDER)}
    update["live_update_confirm_after_kexec"] = True
    update["live_update_initrd"] = "none"  # Debian's kernel has one, the lab's need none
    chosen = {"kernel_deploy_hosts": "all", "live_update_hosts": "all"}
    return {"kernel_deploy_manifest": manifest, "kernel_deploy_without_initrd": True, **chosen, **update, **PATIENCE}


def playbooks(path: Path, extra: dict[str, object], *names: str) -> None:
    """Run playbooks of the installed collection one after the other.

    Their output goes to a log; where a live update has led is shown.
    """
    for name in names:
        output = playbook.run_to(LOG, f"kvmfleet.sriov.{name}", path, "-e", json.dumps(extra))
        if name == "live_update":
            print(timeline(output), flush=True)


def check(report: Path) -> None:
    """Check the report against what the demo promises.

    The first broken promise is an error.
    """
    data = json.loads(report.read_text())
    for host in data["hosts"]:
        check_host(host)
    _hold(len(data["hosts"]) == 2 and len(data["batches"]) == 1, "two hosts in one batch")


def check_host(host: dict[str, Any]) -> None:
    """Check the part of the report about one host."""
    name, used = host["name"], {pf: ids for pf, ids in host["used_ids"].items() if ids}
    at_end = sum(host["vfs_present_at_end"].values())
    last = {pf: ids for pf, ids in host["present_ids_at_last_restore"].items() if ids}
    _hold(host["result"] == "updated", f"{name}: {host['result']}")
    _hold(last == used, f"{name}: present at the last restore {last}, used {used}")
    _hold(at_end == sum(host["vfs_enabled"].values()) >= 100, f"{name}: {at_end} VFs present at the end")
    for vm in host["vms"]:
        _hold(vm["boot_id_before"] == vm["boot_id_after"], f"{name}: VM {vm['name']} was booted anew")
        _hold(vm["counter_after"] > vm["counter_before"], f"{name}: VM {vm['name']} does not count on")
        _hold(vm["state"] == "went on", f"{name}: VM {vm['name']} {vm['state']}: {vm['not_seen']}")
        unexplained = [part for part in vm["parts"] if part["name"] == "unexplained"]
        _hold(vm["is_over"] and not unexplained, f"{name}: VM {vm['name']} has {unexplained} of {vm['outage_s']} s")


def _hold(true: bool, text: str) -> None:
    if not true:
        raise LabError(f"the demo's report does not show what it should: {text}")


def demo(keep: bool) -> None:
    """Run the whole demo; the fleet stops at its end unless ``keep``."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    operations.build(standard=(DEMO,))
    for entry in operations.up(FLEET):
        testbed.keep_bytecode(entry.ssh)
    path, extra = inventory.path(FLEET), settings(packages.built(DEMO)) | AT_ONCE
    try:
        playbooks(path, extra, "sriov")
        operations.start_vms(FLEET, DEMO)
        playbooks(path, extra, "kernel_deploy", "live_update")
        check(REPORT / "report.json")
    finally:
        if keep:
            say(f"the fleet goes on running: python -m lab ssh {FLEET} hv1; end it with: python -m lab down {FLEET}")
        else:
            operations.down(FLEET)
    say(f"report: {REPORT / 'report.html'}, {REPORT / 'report.json'}, raw logs below {REPORT / 'evidence'}")
