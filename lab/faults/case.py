"""One case of the faults on an emulated host: prepare, strike, judge."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

from .. import playbook
from ..fleet import fleet, inventory
from ..images import rootfs
from ..machine import host as _host
from ..machine.host import Running
from ..paths import REPOSITORY
from ..progress import LabError, step
from . import guests, logs, prepare
from .guests import Seen
from .rows import CRASH, ENDED, NEW, SAME, LabFault
from .watcher import ANNOUNCED

STATUS = {"status": f"{prepare.SRIOVCTL} live-update status; {prepare.SRIOVCTL} live-update result"}
"""What is kept of a case, beside the journal."""
PROGRAMS = {"watcher.py": "/root/kvmfleet-watcher.py", "crash_kernel.py": CRASH.split()[-1]}
WATCHER = PROGRAMS["watcher.py"]
UNIT = """[Unit]
DefaultDependencies=no
RequiresMountsFor=/var/lib/kvmfleet-sriov
After=local-fs.target
Before=kvmfleet-sriov-resume.service
[Service]
Type=exec
ExecStart=/usr/bin/python3 {target} {phases} {command}
[Install]
WantedBy=sysinit.target
"""


def run(host: Running, row: LabFault, release: str) -> str:
    """Run a row; why it failed, empty for a pass."""
    try:
        with step(f"{row.name}: the host is prepared"):
            before = prepare.prepared(host, row, release)
        _watch(host, row)
        announced = host.log.stat().st_size
        with step(f"{row.name}: the update is armed"):
            _arm(host, row, release)
        with step(f"{row.name}: the update comes to its end"):
            if row.cut:
                _cut_when(host, announced)
            after = before if row.refused else _settled(host, row, before)
        if row.ends == ENDED:  # their VFs come with the host document, after the update has ended
            prepare.until(
                lambda: not _wrong_vfs(host, guests.look(host.ssh, host.host)), "the VFs of ended VMs", pause_s=3
            )
        return _wrong(host, row, release, before, after)
    except (LabError, subprocess.SubprocessError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        logs.keep(host, row.name, STATUS)


def _watch(host: Running, row: LabFault) -> None:
    """Let the fault wait for its phase, on either kernel."""
    if not row.at:
        return
    for name, target in PROGRAMS.items():
        host.ssh.put(Path(__file__).with_name(name), target)
    words = [",".join(row.at), row.command]
    if row.on == NEW:
        text = UNIT.format(target=WATCHER, phases=words[0], command=json.dumps(words[1]))
        host.ssh.run("cat >/etc/systemd/system/kvmfleet-fault.service; sync", data=text.encode())
        host.ssh.run("systemctl daemon-reload; systemctl enable kvmfleet-fault.service; sync")
    else:
        host.ssh.run(f"systemd-run --quiet --collect --unit=kvmfleet-fault-now python3 {WATCHER} {shlex.join(words)}")


def _arm(host: Running, row: LabFault, release: str) -> None:
    """Arm and start, by the module as a playbook calls it.

    A row may say that this is refused, and with which words.
    """
    params = {
        "state": "started", "kernel": release, "initrd": "none", "host": host.host.name, "owner": "lab",
        "budget_s": 900, "command_line": f"pci=sriov_keep_vfs {row.words}".strip(),
        "options": {"unplug_s": 60, "watchdog": "off", **row.options},
    }  # fmt: skip
    done = subprocess.run(
        [str(playbook.BIN / "ansible"), "all", "-i", str(inventory.path(host.fleet)),
         "-m", "kvmfleet.sriov.live_update", "-a", json.dumps(params)],
        env=playbook.environment(), cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    if row.refused and (not done.returncode or row.refused not in done.stdout):
        raise LabError(f"not refused with '{row.refused}': {done.stdout[-1500:]}")
    if done.returncode and not row.refused:
        raise LabError(f"not armed: {done.stdout[-1500:]}{done.stderr[-500:]}")


def _cut_when(host: Running, begin: int) -> None:
    """Cut the power when the phase is announced; then boot."""

    def announced() -> bool:
        with host.log.open("rb") as log:
            log.seek(begin)
            return ANNOUNCED.encode() in log.read()

    prepare.until(announced, "the phase of the power cut", pause_s=0.05)
    pid = host.pid()
    if pid is None:
        raise LabError("its QEMU has ended by itself")
    os.kill(pid, signal.SIGKILL)
    while host.pid() is not None:
        time.sleep(0.05)
    _host.boot(host, rootfs.build(host.host.has_libvirt), host.folder / "root.qcow2")
    inventory.write(fleet.load(host.fleet), [host])


def _settled(host: Running, row: LabFault, before: Seen) -> Seen:
    """Wait until nothing of the update is at work."""
    seen: list[Seen] = []

    def settled() -> bool:
        with contextlib.suppress(LabError, subprocess.SubprocessError, ValueError):
            now = guests.look(host.ssh, host.host, prepare.POLL_S)
            seen.append(now)
            moved = now.boot != before.boot
            return moved == (row.kernel != SAME) and not now.busy and now.phase in ("done", "aborted", "failed")
        return False

    try:
        prepare.until(settled, "the end of the case", pause_s=3)
    except LabError as error:
        raise LabError(f"{error}; last seen: {seen[-1:]}") from None
    return seen[-1]


def _wrong(host: Running, row: LabFault, release: str, before: Seen, after: Seen) -> str:
    """What is not as the row says; empty for nothing."""
    time.sleep(3)
    later, found = guests.look(host.ssh, host.host), []
    if row.kernel != SAME and (after.release == release) != (row.kernel == NEW):
        found.append(f"it runs {after.release}")
    if row.kernel == SAME and later.boot != before.boot:
        found.append("it was booted anew")
    if later.phase != row.phase:
        found.append(f"its phase is {later.phase}, not {row.phase}")
    for vm in host.host.vms:
        found += _wrong_vm(row, vm.name, before, after, later)
    if row.evidence and not prepare.succeeds(host, row.evidence.replace("NEW", release)):
        found.append(f"its evidence is not there: {row.evidence}")
    return "; ".join([*found, *_wrong_vfs(host, later)])


def _wrong_vm(row: LabFault, name: str, before: Seen, after: Seen, later: Seen) -> list[str]:
    one, qemus = later.sectors[name], later.processes.get(name, 0)
    found = []
    if qemus != (row.ends != ENDED):
        found.append(f"VM {name} has {qemus} QEMUs")
    elif row.ends != ENDED and one.sequence <= after.sectors[name].sequence:
        found.append(f"VM {name} does not count on from {after.sectors[name].sequence}")
    booted = row.ends != ENDED and one.boots != before.sectors[name].boots  # what it wrote last may not be on its disk
    if booted or one.foreign:
        found.append(f"VM {name}: {one}, at first {before.sectors[name]}")
    return found


def _wrong_vfs(host: Running, seen: Seen) -> list[str]:
    found = []
    for vm in host.host.vms:
        vf = seen.vfs.get(vm.vf, {})
        if vf.get("address") != vm.mac or [one["vlan"] for one in vf.get("vlan_list", [])] != [vm.vlan]:
            found.append(f"VF {vm.vf} is {vf}")
        if seen.drivers.get(vm.vf) != "vfio-pci":
            found.append(f"VF {vm.vf} has driver {seen.drivers.get(vm.vf)}")
    return found
