# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold on a host, whatever was injected.

No VM is lost: it runs, or status names the command that brings its memory back. None is doubled: one QEMU a VM, and no
guest found a number on its disk that was not its own. No VF is wrong: a running VM has its own VF with its properties.
"""

from __future__ import annotations

import re
import time

from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp

from .fault import COLD, ENDED, GIVEN_UP, KEPT, MEMORY, OTHERS, STANDS, VMS
from .played import PF, VFS
from .session import PROPERTIES, CaseError, Session
from .vfio import STAND_IN

RESTORE = re.compile(r"sriovctl (live-update restore(?: --take-over)?)\b")


def at_rest(session: Session) -> None:
    """Check the host whenever nothing of the update is at work."""
    named = _named(session)
    for name in VMS:
        running = len(session.host().alive(name))
        if running > 1:
            raise CaseError(f"VM {name} is doubled: {running} QEMUs")
        if not running and name not in named and session.fault.ends[name] not in (ENDED, COLD):
            raise CaseError(f"VM {name} is lost: it does not run, and status names no state of it")
        if session.sector(name).foreign:
            raise CaseError(
                f"VM {name}: its guest found {session.sector(name).foreign} numbers on its disk that were not its own"
            )


def at_end(session: Session) -> None:
    """Check that all is as the row says."""
    phase = str((session.status() or {}).get("phase", ""))
    if phase != session.fault.phase:
        raise CaseError(f"the phase is '{phase}', not '{session.fault.phase}'")
    for name, end in session.fault.ends.items():
        for act in ACTS.get(end, ()):
            act(session, name)
    for name, end in session.fault.ends.items():
        if end in (MEMORY, COLD, KEPT):
            _runs(session, name, session.boots[name] + (end == COLD))
        elif end == OTHERS:
            session.counts(name)
        elif session.host().alive(name):
            raise CaseError(f"VM {name} runs, it should be {end}")
    _vfs(session)
    mounts = (session.host().root / "proc/mounts").read_text()
    if " ro" in mounts:
        raise CaseError(f"disks were left read-only: {mounts}")


def _named(session: Session) -> set[str]:
    """VMs whose states are kept, as status says.

    With a command that brings them back."""
    text = session.sriovctl("live-update status", "status").text
    found = re.search(r"saved and not running: (.*)", text)
    if found and not RESTORE.search(text):
        raise CaseError(f"status names saved VMs, but no command that brings them back: {text}")
    return set(found[1].split(", ")) if found else set()


def _bring_back(session: Session, name: str) -> None:
    """Type what status prints."""
    text = session.sriovctl("live-update status", "status").text
    command = RESTORE.search(text)
    if session.host().alive(name) or command is None:
        raise CaseError(f"VM {name} runs, or status prints no command that brings it back: {text}")
    session.sriovctl(f"{command[1]} {name}", "bring back")
    if not session.host().alive(name):
        raise CaseError(f"'{command[0]} {name}', as status prints, did not bring it back")


def _stands(session: Session, name: str) -> None:
    """Require a QEMU that nothing continues, then end it as a person."""
    again = session.sriovctl(f"live-update restore --take-over {name}", "ask whether it goes on")
    before = session.sector(name)
    time.sleep(0.5)
    if len(session.host().alive(name)) != 1 or again.status == 0 or session.sector(name) != before:
        raise CaseError(f"VM {name} does not stand still: {again.text}")
    if "stands still and is not continued" not in again.text:
        raise CaseError(f"nobody says why VM {name} stands still: {again.text}")
    session.end_vm(name)


def _give_up(session: Session, name: str) -> None:
    """Require that the memory is refused, and given up by name.

    However often it is asked for."""
    again = session.sriovctl(f"live-update restore --take-over {name}", "ask again")
    if session.host().alive(name) or again.status == 0:
        raise CaseError(f"'restore {name}' started it: {again.text}")
    done = session.sriovctl(f"live-update forget --take-over --discard-memory {name}", "give up")
    if done.status:
        raise CaseError(f"'forget --discard-memory {name}' failed: {done.text}")
    session.start_vm(name)
    session.boots[name] = session.sector(name).boots + 1
    session.counts(name)
    session.end_vm(name)


ACTS = {KEPT: (_bring_back,), GIVEN_UP: (_give_up,), STANDS: (_stands, _give_up)}
"""What a person does in the end."""


def _runs(session: Session, name: str, boots: int) -> None:
    """One QEMU, whose guest goes on counting, with its own VF."""
    running = session.host().alive(name)
    if len(running) != 1:
        raise CaseError(f"VM {name} has {len(running)} QEMUs")
    session.counts(name)
    found = session.sector(name)
    if found.boots != boots or found.foreign:
        raise CaseError(
            f"VM {name}: {found.boots} boots, expected {boots}; {found.foreign} foreign numbers on its disk"
        )
    with _qmp.connect(str(session.folder / f"root/run/kvmfleet-vm/{name}.qmp"), 10.0) as qmp:
        children = qmp.execute("qom-list", path="/machine/peripheral")
        devices = [item["name"] for item in children if item["type"] == f"child<{STAND_IN}>"]
        have = [qmp.execute("qom-get", path=f"/machine/peripheral/{device}", property="serial") for device in devices]
    own = session.host().host.pfs[PF].vf_address(VMS[name])
    if have != [own]:
        raise CaseError(f"VM {name} has VFs {have}, its own is {own}")


def _vfs(session: Session) -> None:
    """Require VFs of running VMs as declared.

    Those of others went to no driver of the host."""
    host = session.host()
    pf = host.host.pfs[PF]
    if set(session.fault.ends.values()) <= {ENDED}:
        return  # nothing was brought back: VFs come with the host document
    if pf.enabled != VFS or pf.autoprobe:
        raise CaseError(f"PF {PF} has {pf.enabled} VFs and autoprobe {pf.autoprobe}")
    for name, number in VMS.items():
        vf = pf.vfs.get(number)
        if not host.alive(name) or session.fault.ends[name] == OTHERS:
            if vf is not None and vf.driver not in (None, "vfio-pci"):
                raise CaseError(f"VF {number} of VM {name}, which does not run, has driver {vf.driver}")
            continue
        wrong = {
            key: pf.properties[number].get(key)
            for key, value in PROPERTIES[name].items()
            if pf.properties[number].get(key) != value
        }
        if vf is None or vf.driver != "vfio-pci" or wrong:
            raise CaseError(f"VF {number} of VM {name} is {vf}, wrong are {wrong}")
