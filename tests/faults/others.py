# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others do to a host meanwhile: operators, controllers, other hosts, disks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp

from . import guest, vfio
from .fault import VMS
from .played import PF
from .played_systemd import WELL
from .session import CaseError, Session

Act = Callable[[Session], None]
OTHER = "another controller"


def all_of(*acts: Act) -> Act:
    def act(session: Session) -> None:
        for one in acts:
            one(session)

    return act


def ends(name: str) -> Act:
    """The VM's QEMU is killed."""
    return lambda session: session.end_vm(name)


def shuts_down(name: str) -> Act:
    """The VM's user shuts it down, from inside."""

    def act(session: Session) -> None:
        host = session.host()
        (one,) = host.alive(name)
        (session.folder / f"{WELL}{one.pid}").touch()

        def gone() -> bool:
            guest.ask_to_shut_down(host.disk(name))
            return not one.alive

        session.until(gone, f"guest {name} to shut down")

    return act


def restarts(name: str) -> Act:
    """Its operator starts the VM anew."""

    def act(session: Session) -> None:
        session.end_vm(name)
        session.start_vm(name)
        session.counts(name)
        session.boots[name] = session.sector(name).boots

    return act


def starts(name: str) -> Act:
    """Somebody starts the VM on this host, from its disk."""

    def act(session: Session) -> None:
        session.start_vm(name)
        session.counts(name)

    return act


def opens_disk(name: str) -> Act:
    """A waiting QEMU of another name has the VM's disk."""

    def act(session: Session) -> None:
        host = session.host()
        words = [
            word.replace(f"guest={name}", "guest=by-hand").replace(f"{name}.qmp", "by-hand.qmp")
            for word in host.command_line(name, VMS[name])
        ]
        device = next(number for number, word in enumerate(words) if word.startswith("vfio-pci"))
        host.launch([*words[: device - 1], *words[device + 1 :], "-S"], "by-hand.service")
        session.until(lambda: _answers(session, "by-hand"), "a QEMU to have its disk for good")

    return act


def _answers(session: Session, name: str) -> bool:
    """Whether a QEMU answers.

    It begins to when its devices are made: it opened and closed its disk before, to see what format it has.
    """
    try:
        with _monitor(session, name) as qmp:
            return bool(qmp.execute("query-block"))
    except SriovError:
        return False


def waits_for(name: str) -> Act:
    """Nothing, until the VM's guest has written to its disk again."""

    def act(session: Session) -> None:
        session.counts(name)

    return act


def stranger(session: Session) -> None:
    """Somebody starts a VM that the update does not know."""
    host = session.host()
    argv = [word.replace("web1", "new1") for word in host.command_line("web1", VMS["web1"])]
    shutil.copyfile(host.disk("web1"), host.disk("new1"))
    plain = [word for word in argv if not word.startswith("vfio-pci")]
    plain.pop(plain.index("-drive") - 1)
    host.launch(plain, "kvmfleet-vm-new1.service")


def elsewhere(name: str) -> Act:
    """The VM runs on another host with the same disk."""
    return lambda session: session.elsewhere(name)


def elsewhere_once_saved(name: str) -> Act:
    """The same, as soon as its own QEMU has released the disk."""

    def act(session: Session) -> None:
        claim = _folder(session, name) / "claim.json"
        session.until(lambda: '"saved"' in claim.read_text(), f"VM {name} to be saved")
        session.elsewhere(name)

    return act


def arms(session: Session) -> None:
    """Another controller arms and starts an update, and must be refused."""
    outcome = session.arm(OTHER)
    if outcome.status == 0:
        raise CaseError(f"another controller was not refused: {outcome.text[-500:]}")


def forgets(session: Session) -> None:
    """Somebody forgets the update that is at work, and must be refused."""
    outcome = session.sriovctl("live-update forget --take-over")
    if outcome.status == 0:
        raise CaseError(f"forget was not refused: {outcome.text[-500:]}")


def plugs(name: str) -> Act:
    """Somebody plugs the VM's VF again, which was just released."""

    def act(session: Session) -> None:
        address = session.host().host.pfs[PF].vf_address(VMS[name])
        with _monitor(session, name) as qmp:
            qmp.execute("device_add", driver=vfio.STAND_IN, id="vf0", bus="rp1", serial=address)

    return act


def replaces_disk(name: str) -> Act:
    """The image is replaced by a copy of itself."""

    def act(session: Session) -> None:
        disk = session.host().disk(name)
        shutil.copyfile(disk, f"{disk}.copy")
        os.replace(f"{disk}.copy", disk)

    return act


def copies_disk(name: str) -> Act:
    """A snapshot of the image is kept aside."""

    def act(session: Session) -> None:
        disk = session.host().disk(name)
        shutil.copyfile(disk, f"{disk}.snapshot")

    return act


def rolls_back(name: str) -> Act:
    """The image is rolled back to the snapshot."""

    def act(session: Session) -> None:
        disk = session.host().disk(name)
        disk.write_bytes(disk.with_name(f"{disk.name}.snapshot").read_bytes())

    return act


def full_disk(name: str) -> Act:
    """What is written to the VM's state finds no space (full(4))."""

    def act(session: Session) -> None:
        state = _folder(session, name) / "state"
        state.unlink(missing_ok=True)
        state.symlink_to("/dev/full")

    return act


def truncates(file: str) -> Act:
    """A file of the live update has lost its second half."""

    def act(session: Session) -> None:
        path = session.folder / "root/var/lib/kvmfleet-sriov/live-update" / file
        os.truncate(path, path.stat().st_size // 2)

    return act


def unloads(session: Session) -> None:
    """Somebody unloads the kernel (`kexec -u`)."""
    host = session.host()
    host.loaded = None
    host.put("/sys/kernel/kexec_loaded", "0\n")
    host.keep()


def _monitor(session: Session, name: str) -> _qmp.Qmp:
    return _qmp.connect(str(session.folder / f"root/run/kvmfleet-vm/{name}.qmp"), 10.0)


def _folder(session: Session, name: str) -> Path:
    return session.folder / "root/var/lib/kvmfleet-sriov/live-update/vms" / name
