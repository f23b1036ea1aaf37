"""Interruptions of ``ansible-playbook`` in every phase of a live update.

Each is killed; its VMs go on, and running it again finishes the job.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import playbook
from ..fleet import inventory, operations
from ..fleet.fleet import Vm
from ..images import grub
from ..kernels import packages
from ..machine import vm
from ..machine.host import Running
from ..paths import REPOSITORY
from ..progress import LabError, say, step
from . import demo

FLEET = "kills"
FOLDER = REPOSITORY / "build" / "kills"
STATUS = "/usr/local/sbin/sriovctl live-update status --json"


@dataclass(frozen=True)
class Kill:
    """One interruption of the playbook.

    ``task``: the first of that name to begin; ``after_s``: seconds until the kill; ``left``: phases of the host then.
    An empty phase is a host on which nothing is armed.
    """

    where: str
    task: str
    after_s: float
    left: frozenset[str]


NOTHING = frozenset([""])
ARMED = frozenset(["", "armed"])
UNDER_WAY = frozenset([
    "unplugging", "copying", "saving", "saved", "kexec", "resuming", "restoring", "filling", "checking", "done",
])  # fmt: skip
ENDED = frozenset(["done"])
KILLS = (
    Kill("preflight", "Examine the host and its VMs", 1, NOTHING),
    Kill("arm, before anything", "Install the node program of this very collection", 1, NOTHING),
    Kill("arm", "Write the manifest, load the kernel and start the update", 3, ARMED | UNDER_WAY),
    Kill("start, or wait", "Wait until the host has ended its update", 3, UNDER_WAY),
    Kill("collect", "Read the guests' logs", 1, ENDED),
    Kill("finish", "The units of its VMs are active", 1, ENDED),
    Kill("confirm", "Make it the boot default", 0.5, ENDED),
    Kill("report", "Write the report of all hosts that were asked for", 0.3, ENDED),
    Kill("forget", "Forget the update, the states of its VMs are no longer needed", 1, ENDED | NOTHING),
)


def kills() -> None:
    """Update one host, with its playbook killed for each of `KILLS`.

    It is started again after each, and runs to its end after the last.
    """
    operations.build()
    (host,) = operations.up(FLEET)
    kernel = packages.built("series")
    path, extra = inventory.path(FLEET), demo.settings(kernel) | {"live_update_report_dir": str(FOLDER)}
    try:
        demo.playbooks(path, extra, "sriov")
        operations.start_vms(FLEET)
        demo.playbooks(path, extra, "kernel_deploy")
        predict(host, path, extra)
        for kill in KILLS:
            survive(host, path, extra, kill)
        demo.playbooks(path, extra, "live_update")
        (report,) = json.loads((FOLDER / "latest/report.json").read_text())["hosts"]
        demo.check_host(report)
        default = host.ssh.run("grub-editenv /boot/grub/grubenv list")
        if f"saved_entry={grub.entry(kernel.release)}" not in default or phase(host):
            raise LabError(f"the update is not finished: phase '{phase(host)}', boot loader: {default}")
    finally:
        operations.down(FLEET)
    print(f"kills: {len(KILLS)} passed, 0 failed", flush=True)


def predict(host: Running, path: Path, extra: dict[str, object]) -> None:
    """Check that ``--check`` reports batches and changes nothing."""
    facts = "find /var/lib/kvmfleet-sriov /usr/local/sbin /etc -newer /proc/1 -type f | sort | xargs -r sha256sum"
    before = host.ssh.run(facts)
    with step("ansible-playbook --check"):
        done = subprocess.run(
            [*command(path, extra), "--check"],
            env=playbook.environment(),
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
        )
    if done.returncode or "batch" not in done.stdout:
        raise LabError(f"--check ended with status {done.returncode}:\n{done.stdout[-3000:]}")
    if phase(host) or host.ssh.run(facts) != before or host.ssh.run("cat /sys/kernel/kexec_loaded").strip() != "0":
        raise LabError("--check changed the host")


def survive(host: Running, path: Path, extra: dict[str, object], kill: Kill) -> None:
    """Start the playbook, kill it, and check the host.

    It must be in a phase that the kill allows, with its VMs alive unless the update is under way.
    """
    begin = time.monotonic()
    run_until(command(path, extra), kill)
    current = phase(host)
    if current not in kill.left:
        raise LabError(f"killed in {kill.where}: the host is in phase '{current}', not one of {sorted(kill.left)}")
    if current in ("", "armed", "done"):
        alive(host)
    say(f"killed in {kill.where}: phase '{current}', {time.monotonic() - begin:.0f} s")


def command(path: Path, extra: dict[str, object]) -> list[str]:
    return playbook.command("kvmfleet.sriov.live_update", path, "-e", json.dumps(extra))


def run_until(argv: Sequence[str], kill: Kill, deadline_s: float = 1800) -> None:
    """Run the playbook until a task, then kill it and its workers.

    With SIGKILL. Raises LabError if the task never began, or the playbook ended by itself.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        (FOLDER / "playbooks.log").open("a") as log,
        subprocess.Popen(
            argv,
            env=playbook.environment(),
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as run,
    ):
        print(f"=== to be killed in {kill.where}", file=log)
        seen, end = False, time.monotonic() + deadline_s
        for line in run.stdout or ():
            log.write(line)
            seen = line.startswith("TASK [") and f": {kill.task}]" in line
            if seen or time.monotonic() > end:
                break
        time.sleep(kill.after_s)
        ended = run.poll() is not None
        for pid in family(run.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if not seen or ended:
        what = "was over before it was killed" if seen else "never began"
        raise LabError(f"task '{kill.task}' {what}: see {FOLDER / 'playbooks.log'}")


def family(pid: int) -> list[int]:
    """The process and its descendants, workers in their own sessions too.

    By children of proc_pid_task(5).
    """
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    return found


def phase(host: Running, deadline_s: float = 600) -> str:
    """Phase of the host's live update, empty without one.

    Asks again when the host jumps meanwhile.
    """
    end = time.monotonic() + deadline_s
    while True:
        host.ssh.wait(deadline_s)
        try:
            status = json.loads(host.ssh.run(STATUS))
        except LabError:
            if time.monotonic() > end:
                raise
            continue
        return str(status["phase"]) if status else ""


def alive(host: Running, deadline_s: float = 300) -> None:
    """Check that each VM's counter goes on."""
    for one in host.host.vms:
        before = counter(host, one)
        end = time.monotonic() + deadline_s
        while counter(host, one) <= before:
            if time.monotonic() > end:
                raise LabError(f"VM {one.name} does not count on from {before}")
            time.sleep(2)


def counter(host: Running, one: Vm) -> int:
    heartbeats = vm.HEARTBEAT.findall(vm.log(host.ssh, one))
    return int(heartbeats[-1][0]) if heartbeats else 0
