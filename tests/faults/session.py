# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One case: a host from its first boot to its end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.run_unit import RUN_UNIT
from tests.fake.vm.node import NEW as RELEASE
from tests.fake.vm.node import OLD as RELEASE_BEFORE

from . import children, guest, node, played
from .edges import GO, PAUSED
from .fault import CRASH, NEW, OLD, PANIC, VMS, Fault
from .played import PF, Guest, PlayedHost

ENDED, KILLED, JUMPED, CUT = "ended", "killed", "jumped", "cut"
DEADLINE_S = 180.0
"""Of one process, and of a guest's boot."""
OWNER = "operator"
OPTIONS = {
    "boot_s": 1.0, "drivers_s": 10.0, "fill_pause_s": 0.001, "unplug_s": 4.0, "shutdown_s": 10.0, "migrate_s": 30.0,
    "start_s": 30.0, "answer_s": 20.0,
}  # fmt: skip
PROPERTIES = {name: {"mac": f"02:00:00:00:00:0{vf}", "vlan": 100 + vf} for name, vf in VMS.items()}


@dataclass(frozen=True)
class Outcome:
    """How a process ended, its exit status, and what it printed."""

    kind: str
    status: int
    text: str


class CaseError(Exception):
    """What is not as the row says."""


class Session:
    """The case's host in a folder of its own.

    All of its processes end with it.

    ``done``: steps that were taken once, in which nothing strikes any more.
    """

    def __init__(self, fault: Fault, folder: Path) -> None:
        self.fault, self.folder = fault, folder
        self.boots: dict[str, int] = {}
        self.done: set[str] = set()
        self._elsewhere: list[subprocess.Popen[bytes]] = []
        children.adopt()
        self._others = children.of_this()
        self._at_work: set[int] = set()
        self._status = 0

    def host(self) -> PlayedHost:
        """The host as it is now."""
        return PlayedHost(self.folder)

    def start(self) -> None:
        """Start the host's VMs, and wait until their guests count."""
        host = self.host()
        for name, vf in VMS.items():
            guest.make(host.disk(name), self.fault.delays.get(name, guest.OBEYS))
            pf = host.host.pfs[PF]
            pf.vfs[vf].driver = pf.vfs[vf].override = "vfio-pci"
            pf.properties[vf].update(PROPERTIES[name])
        host.host.drivers.add("vfio-pci")
        host.host.draw()
        for name in VMS:
            self.start_vm(name, host)
        for name in VMS:
            self.counts(name, 2)
            self.boots[name] = self.sector(name).boots

    def counts(self, name: str, beyond: int | None = None) -> None:
        """Wait until a VM's guest has counted on."""
        before = self.sector(name).sequence + 1 if beyond is None else beyond
        self.until(lambda: self.sector(name).sequence > before, f"guest {name} to count on from {before}")

    def start_vm(self, name: str, host: PlayedHost | None = None) -> Guest:
        """Start a VM as an operator does, from its disk."""
        host = host or self.host()
        return host.launch(host.command_line(name, VMS[name]), f"kvmfleet-vm-{name}.service")

    def sector(self, name: str) -> guest.Sector:
        return guest.read(self.folder / "root/disks" / f"{name}.img")

    def until(self, done: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
        end = time.monotonic() + deadline_s
        while not done():
            if time.monotonic() > end:
                raise CaseError(f"waited {deadline_s:g} s for {what}")
            time.sleep(0.02)

    def end_vm(self, name: str) -> None:
        """Kill a VM's QEMU, as the kernel does when memory is short."""
        for one in self.host().alive(name):
            one.end()

    def elsewhere(self, name: str) -> None:
        """Run a VM for a moment on another host with its disk."""
        host = self.host()
        argv = host.command_line(name, VMS[name])
        kept = [word for word in argv if not word.startswith(("vfio-pci", "unix:"))]
        plain = [
            word
            for number, word in enumerate(kept)
            if not (word == "-qmp" or kept[number : number + 2] == ["-device", "-drive"])
        ]
        before = self.sector(name).sequence
        process = subprocess.Popen(
            plain, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._elsewhere.append(process)
        self.until(lambda: self.sector(name).sequence > before + 3, f"guest {name} to run elsewhere")
        process.kill()
        process.wait()
        self.boots[name] = self.sector(name).boots

    def sriovctl(self, words: str, step: str = "") -> Outcome:
        """Run the node program to its end; faults strike in their step."""
        return self._process(["sriovctl", *words.split()], step or words)

    def module(self, step: str = "", **params: object) -> Outcome:
        """Run the module `live_update`."""
        return self._process(["module", json.dumps({"owner": OWNER, **params})], step)

    def arm(self, owner: str = OWNER, step: str = "", **params: object) -> Outcome:
        """Arm and start, in one task; the step `run` runs it."""
        vms = [{"name": name, **values} for name, values in self.fault.vms.items()]
        options = {**OPTIONS, **self.fault.options}
        return self.module(
            step, state="started", kernel=RELEASE, host="h1", owner=owner, options=options, vms=vms, **params
        )

    def _process(self, words: Sequence[str], step: str) -> Outcome:
        first = step not in self.done
        self.done.add(step)
        strikes = [asdict(one) for one in self.fault.strikes if first and one.step == step]
        with (self.folder / "output").open("w+b") as output:
            child = self._forked([str(self.folder), json.dumps(strikes), *words], output.fileno())
            self._at_work.add(child)
            self.until(lambda: self._over(child), f"'{' '.join(words)[:80]}' to end")
            self._at_work.remove(child)
            self._end_unnoted()
            output.seek(0)
            text = output.read().decode(errors="replace")
        outcome = Outcome(self._kind(self._status), self._status, text)
        with (self.folder / "case.log").open("a") as log:
            print(f"$ {' '.join(words)[:300]}\n{text[-3000:]}[{outcome.kind} {outcome.status}]", file=log)
        return outcome

    def _end_unnoted(self) -> None:
        """End QEMUs that nobody has noted, as their process was killed.

        They are ours then, by `children.adopt`. On a host systemd would not have got to know of them.
        """
        noted = {one.pid for one in self.units()} | {one.pid for one in self._elsewhere}
        children.end(children.of_this() - noted - self._others - self._at_work)

    def units(self) -> list[Guest]:
        """QEMUs that were noted since the last boot."""
        return self.host().units() if (self.folder / "root").exists() else []

    def _forked(self, words: list[str], output: int) -> int:
        """Process id of a fork of this program that runs `node.main`.

        Which has all of the engine imported already: a start of Python each time costs more than the rest.
        """
        sys.stdout.flush()
        child = os.fork()
        if child:
            return child
        status = 70
        try:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            status = node.main(words)
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _over(self, child: int) -> bool:
        if (self.folder / PAUSED).exists():
            (self.folder / PAUSED).unlink()
            assert self.fault.meanwhile is not None
            try:
                self.fault.meanwhile(self)
            finally:
                (self.folder / GO).touch()
        pid, status = os.waitpid(child, os.WNOHANG)
        self._status = os.waitstatus_to_exitcode(status)
        return pid == child

    def _kind(self, status: int) -> str:
        for name, kind in ((played.JUMPED, JUMPED), (played.CUT, CUT)):
            if (self.folder / name).exists():
                return kind
        return KILLED if status == -signal.SIGKILL else ENDED

    def boot(self, kernel: str) -> None:
        """Boot a kernel, which a kexec or firmware has chosen."""
        host = self.host()
        jumped = self.folder / played.JUMPED
        line = jumped.read_text() if jumped.exists() else played.firmware_line()
        host.end_guests()
        if kernel == NEW:
            played.boot_by_kexec(host, line)
        elif kernel == CRASH:
            host.boot(RELEASE_BEFORE, f"{line} elfcorehdr=0x1000000")
        elif kernel in (OLD, PANIC):
            played.boot_by_firmware(host)
        (self.folder / RUN_UNIT).unlink(missing_ok=True)

    def status(self) -> dict[str, Any] | None:
        file = self.folder / "root/var/lib/kvmfleet-sriov/live-update/status.json"
        return json.loads(file.read_text()) if file.exists() else None

    def close(self) -> None:
        for one in self.units():
            one.end()
        children.end(children.of_this() - self._others)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
