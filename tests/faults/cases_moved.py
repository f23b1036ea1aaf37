# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that are moved to another host before theirs is armed.

The other host is played by a QEMU that waits for the VM's memory, with the same disk.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fake.vm.node import NEW as RELEASE

from . import evacuate, others
from .edges import AFTER, CUT, KILL, Strike
from .fault import BOTH, ENDED, MEMORY, VMS, Fault, Typed, each
from .session import CUT as CUT_OFF
from .session import OPTIONS, OWNER, CaseError, Session

MIGRATE = {"web1": {"strategy": "migrate"}}
LEFT = {"web1": ENDED, "db1": MEMORY}
ASKED = "monitor web1 device_del"
STAY = "live-update stay"
LEAVES = (evacuate.MOVES, evacuate.GONE, evacuate.STAYS)


def moves(how: str, says: str = "", status: int = 0) -> others.Act:
    """The controller has the VM moved.

    ``says``: part of why not; ``status``: with which that ends.
    """

    def act(session: Session) -> None:
        if how in LEAVES:
            _other_host(session)
        hook = [sys.executable, str(Path(evacuate.__file__)), str(session.folder), how]
        deadline = 2.0 if how == evacuate.HANGS else 60.0
        options = {**OPTIONS, **session.fault.options, "move_away": hook, "move_away_s": deadline}
        outcome = session.module(
            "move", state="moved", kernel=RELEASE, host="h1", owner=OWNER, options=options,
            vms=[{"name": "web1", "strategy": "migrate"}],
        )  # fmt: skip
        if says not in outcome.text or outcome.status != status:
            raise CaseError(f"moving ended with status {outcome.status}, '{says}' was expected: {outcome.text[-600:]}")
        if outcome.kind == CUT_OFF:
            session.boot("old")
        if how in LEAVES:
            _goes_on(session)
        if how == evacuate.STAYS:
            _stands(session)

    return act


def _other_host(session: Session) -> None:
    """Start the QEMU that waits for web1's memory."""
    argv = session.host().command_line("web1", VMS["web1"])
    kept, words = [], iter(argv)
    for word in words:
        if word == "-qmp" or (word == "-device" and (follows := next(words)).startswith("vfio-pci")):
            next(words) if word == "-qmp" else None
            continue
        kept += [word, follows] if word == "-device" else [word]
    socket = evacuate.incoming(session.folder, "web1")
    process = subprocess.Popen(
        [*kept, "-incoming", f"unix:{socket}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    session._elsewhere.append(process)
    session.until(socket.exists, "the other host to wait for web1")


def _goes_on(session: Session) -> None:
    """Require that web1 counts on elsewhere, with its memory."""
    session.counts("web1")
    found = session.sector("web1")
    if found.boots != session.boots["web1"] or found.foreign:
        raise CaseError(f"VM web1 elsewhere: {found.boots} boots, {found.foreign} foreign numbers on its disk")


def _stands(session: Session) -> None:
    """Require that nothing continues what runs elsewhere by now.

    Once its process is ended here, the move is over.
    """
    outcome = session.sriovctl(STAY)
    if not outcome.status or not session.host().alive("web1"):
        raise CaseError(f"'sriovctl {STAY}' ended with status {outcome.status}: {outcome.text[-600:]}")
    _goes_on(session)
    session.end_vm("web1")
    outcome = session.sriovctl(STAY)
    if outcome.status:
        raise CaseError(f"'sriovctl {STAY}' ended with status {outcome.status}: {outcome.text[-600:]}")


def _killed(do: str, at: str = ASKED) -> tuple[Strike, ...]:
    return (Strike("move", at, do, AFTER),)


CASES = (
    Fault("moved", "a VM leaves for another host, and the update of this one follows", LEFT, "done", vms=MIGRATE,
          before={"arm": moves(evacuate.MOVES), "resume": _goes_on}),
    Fault("moved_then_panic", "a VM has left, and the new kernel panics", LEFT, "failed", vms=MIGRATE,
          lands=("panic", "old"), before={"arm": moves(evacuate.MOVES), "come-back": _goes_on}),
    Fault("move_fails", "the program that moves a VM fails", BOTH, "", vms=MIGRATE,
          before={"arm": moves(evacuate.FAILS, "no host has room; it stays here, with its VFs", 1)}),
    Fault("move_lies", "it says that the VM has left, which runs here", BOTH, "", vms=MIGRATE,
          before={"arm": moves(evacuate.LIES, "runs here still; it stays here, with its VFs", 1)}),
    Fault("move_hangs", "it does not end", BOTH, "", vms=MIGRATE,
          before={"arm": moves(evacuate.HANGS, "did not end within 2 s (move_away_s); it stays here", 1)}),
    Fault("move_fails_when_gone", "it fails when the VM has left", LEFT, "done", vms=MIGRATE,
          before={"arm": moves(evacuate.GONE, "its process is gone: look where it runs", 1), "resume": _goes_on}),
    Fault("move_leaves_process", "the VM runs elsewhere, and its process stands still here", LEFT, "done", vms=MIGRATE,
          before={"arm": moves(evacuate.STAYS, "runs here still; it does not go on with its VFs", 1),
                  "resume": _goes_on}),
    Fault("move_killed", "whoever moves a VM is killed when its VF is asked for", BOTH, "", vms=MIGRATE,
          strikes=_killed(KILL), before={"arm": moves(evacuate.LIES, status=-9)}, typed=(Typed(STAY, 0, "web1"),)),
    Fault("move_power_cut", "power cut while a VM is moved: nothing was saved", each(ENDED), "done", vms=MIGRATE,
          strikes=_killed(CUT), before={"arm": moves(evacuate.LIES, status=-9)}, typed=(Typed(STAY, 0, "none"),)),
)  # fmt: skip
