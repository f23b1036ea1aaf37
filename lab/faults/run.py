"""Run the faults that need a real kernel, on one emulated host."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Collection
from pathlib import Path

from tests.faults import record
from tests.faults.record import LAB

from .. import playbook
from ..fleet import fleet, inventory, operations
from ..images import rootfs
from ..kernels import packages
from ..machine import host as _host
from ..machine.host import Running
from ..paths import REPOSITORY
from ..progress import LabError
from ..scenarios import demo
from . import guests
from .guests import Seen
from .rows import NEW, ROWS, SAME, LabFault
from .watcher import ANNOUNCED

FLEET = "faults"
LOGS = REPOSITORY / "build" / "faults"
WATCHER = Path(__file__).with_name("watcher.py")
TARGET = "/root/kvmfleet-watcher.py"
DEADLINE_S = 600.0
SRIOVCTL = "/usr/local/sbin/sriovctl"
UNIT = """[Unit]
DefaultDependencies=no
RequiresMountsFor=/var/lib/kvmfleet-sriov
After=local-fs.target
[Service]
Type=exec
ExecStart=/usr/bin/python3 {target} {phases} {command}
[Install]
WantedBy=sysinit.target
"""


def faults(only: Collection[str] = (), fresh: bool = False, keep: bool = False) -> int:
    """Run rows without a valid result; number of failures."""
    rows = {one.name: one for one in ROWS}
    old = record.stale(LAB, rows)
    wanted = [
        one for name, one in rows.items() if (not only or any(part in name for part in only)) and (fresh or name in old)
    ]
    if not wanted:
        print(f"lab faults: 0 failed, all {len(rows)} have valid results")
        return 0
    operations.build()
    (host,) = operations.up(FLEET)
    failed = 0
    try:
        kernel = packages.built("series")
        demo.playbooks(inventory.path(FLEET), demo.settings(kernel), "sriov", "kernel_deploy")
        for number, row in enumerate(wanted, 1):
            result, begin = record.before(LAB, row), time.monotonic()
            why = run(host, row, kernel.release)
            failed += bool(why)
            result(row.name, not why)
            print(
                f"[{number}/{len(wanted)}] {row.name}: {why or 'pass'} ({time.monotonic() - begin:.0f} s)", flush=True
            )
    finally:
        if not keep:
            operations.down(FLEET)
    record.drop_unknown(LAB, rows)
    print(f"lab faults: {len(wanted) - failed} passed, {failed} failed", flush=True)
    return failed


def run(host: Running, row: LabFault, release: str) -> str:
    """Run a row; why it failed, empty for a pass."""
    try:
        before = prepared(host)
        _watch(host, row)
        announced = host.log.stat().st_size
        _arm(host, row, release)
        if row.cut:
            _cut_when(host, announced)
        after = _settled(host, row, before)
        return _wrong(host, row, release, before, after)
    except (LabError, subprocess.SubprocessError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        _keep_logs(host, row)


def prepared(host: Running) -> Seen:
    """A host without an update, whose guests count."""
    host.ssh.wait(300)
    host.ssh.run(f"rm -f /var/lib/kvmfleet-lab/fill; {SRIOVCTL} live-update forget --take-over || true")
    names = " --discard-memory ".join(["", *(vm.name for vm in host.host.vms)])
    host.ssh.run(f"{SRIOVCTL} live-update forget --take-over{names} || true")
    _until(lambda: set(guests.look(host.ssh, host.host).drivers) >= {vm.vf for vm in host.host.vms}, "its VFs")
    guests.start(host.ssh, host.host)
    _until(lambda: min(one.sequence for one in guests.look(host.ssh, host.host).sectors.values()) > 3, "its guests")
    return guests.look(host.ssh, host.host)


def _watch(host: Running, row: LabFault) -> None:
    """Let the fault wait for its phase, on either kernel."""
    if not row.at:
        return
    host.ssh.put(WATCHER, TARGET)
    words = [",".join(row.at), row.command]
    if row.on == NEW:
        text = UNIT.format(target=TARGET, phases=words[0], command=json.dumps(words[1]))
        host.ssh.run("cat >/etc/systemd/system/kvmfleet-fault.service; sync", data=text.encode())
        host.ssh.run("systemctl daemon-reload; systemctl enable kvmfleet-fault.service; sync")
    else:
        host.ssh.run(f"systemd-run --quiet --collect --unit=kvmfleet-fault-now python3 {TARGET} {shlex.join(words)}")


def _arm(host: Running, row: LabFault, release: str) -> None:
    """Arm and start, by the module as a playbook calls it."""
    params = {
        "state": "started", "kernel": release, "initrd": "none", "host": host.host.name, "owner": "lab",
        "budget_s": 900, "command_line": f"pci=sriov_keep_vfs {row.words}".strip(),
        "options": {"unplug_s": 60, "watchdog": "off", **row.options},
    }  # fmt: skip
    done = subprocess.run(
        [str(playbook.BIN / "ansible"), "all", "-i", str(inventory.path(FLEET)), "-m", "kvmfleet.sriov.live_update",
         "-a", json.dumps(params)],
        env=playbook.environment(), cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise LabError(f"not armed: {done.stdout[-1500:]}{done.stderr[-500:]}")


def _cut_when(host: Running, begin: int) -> None:
    """Cut the power when the phase is announced; then boot."""

    def announced() -> bool:
        with host.log.open("rb") as log:
            log.seek(begin)
            return ANNOUNCED.encode() in log.read()

    _until(announced, "the phase of the power cut", pause_s=0.05)
    pid = host.pid()
    if pid is None:
        raise LabError("its QEMU has ended by itself")
    os.kill(pid, signal.SIGKILL)
    while host.pid() is not None:
        time.sleep(0.05)
    _host.boot(host, rootfs.build(), host.folder / "root.qcow2")
    inventory.write(fleet.load(FLEET), [host])


def _settled(host: Running, row: LabFault, before: Seen) -> Seen:
    """Wait until nothing of the update is at work."""
    seen: list[Seen] = []

    def settled() -> bool:
        with contextlib.suppress(LabError, subprocess.SubprocessError, ValueError):
            now = guests.look(host.ssh, host.host)
            seen.append(now)
            moved = now.boot != before.boot
            return moved == (row.kernel != SAME) and not now.busy and now.phase in ("done", "aborted", "failed")
        return False

    try:
        _until(settled, "the end of the case", pause_s=3)
    except LabError as error:
        raise LabError(f"{error}; last seen: {seen[-1:]}") from None
    return seen[-1]


def _wrong(host: Running, row: LabFault, release: str, before: Seen, after: Seen) -> str:
    """What is not as the row says; empty for nothing."""
    time.sleep(3)
    later, found = guests.look(host.ssh, host.host), []
    if row.kernel != SAME and (after.release == release) != (row.kernel == NEW):
        found.append(f"it runs {after.release}")
    if after.phase != row.phase:
        found.append(f"its phase is {after.phase}, not {row.phase}")
    for vm in host.host.vms:
        one, then = later.sectors[vm.name], after.sectors[vm.name]
        if later.processes.get(vm.name) != 1:
            found.append(f"VM {vm.name} has {later.processes.get(vm.name, 0)} QEMUs")
        elif one.sequence <= then.sequence:
            found.append(f"VM {vm.name} does not count on from {then.sequence}")
        if one.boots != before.sectors[vm.name].boots or one.foreign:
            found.append(f"VM {vm.name}: {one}, at first {before.sectors[vm.name]}")
        vf = later.vfs.get(vm.vf, {})
        if vf.get("address") != vm.mac or [one["vlan"] for one in vf.get("vlan_list", [])] != [vm.vlan]:
            found.append(f"VF {vm.vf} is {vf}")
        if later.drivers.get(vm.vf) != "vfio-pci":
            found.append(f"VF {vm.vf} has driver {later.drivers.get(vm.vf)}")
    return "; ".join(found)


def _keep_logs(host: Running, row: LabFault) -> None:
    (LOGS / row.name).mkdir(parents=True, exist_ok=True)
    for name, command in (
        ("status", f"{SRIOVCTL} live-update status; {SRIOVCTL} live-update result"),
        ("journal", "journalctl --no-pager -u 'kvmfleet*' -n 300"),
    ):
        with contextlib.suppress(LabError, subprocess.SubprocessError):
            (LOGS / row.name / f"{name}.log").write_text(host.ssh.run(command, timeout_s=60))


def _until(done: Callable[[], bool], what: str, pause_s: float = 1.0) -> None:
    end = time.monotonic() + DEADLINE_S
    while not done():
        if time.monotonic() > end:
            raise LabError(f"waited {DEADLINE_S:.0f} s for {what}")
        time.sleep(pause_s)
