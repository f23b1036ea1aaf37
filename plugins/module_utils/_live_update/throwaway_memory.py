# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting throw-away VMs, reading their memory, and ending them."""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from .._model.deadlines import BUSY_PAUSE_S, UNIT_PAUSE_S
from .._model.errors import DeadlineError, SriovError
from .._model.update_deadlines import ANSWER_S, ENDED_S, FILLED_S, HASHED_S
from .._system.sysfs import Sysfs
from .._vm.qemu import memory_reader, pattern_guest
from .._vm.qemu import qmp as _qmp
from .._vm.qemu.memory_reader import Digest
from .._vm.qemu.qmp import Qmp
from . import throwaway
from .machine import LiveHost
from .throwaway import ThrowAway


def start(host: LiveHost, vms: Sequence[ThrowAway], program: str, accelerator: str) -> None:
    """Start the VMs, each in a transient unit as an operator does."""
    throwaway.make_images(host.sysfs, vms)
    for vm in vms:
        host.run([
            "systemd-run", "--quiet", "--collect", f"--unit={vm.unit}", "--property=Type=exec", "--",
            *vm.argv(program, accelerator),
        ])  # fmt: skip


def filled(host: LiveHost, vm: ThrowAway) -> ThrowAway:
    """Wait until a VM has filled its memory, and read it.

    Returns the VM with its checksum. Raises `DeadlineError`, and `SriovError` for a page that is not as its guest has
    written it.
    """
    until = time.monotonic() + FILLED_S
    while (why := _unready(host, vm)) is not None:
        if time.monotonic() > until:
            raise DeadlineError(f"VM {vm.name} has not filled its memory within {FILLED_S:g} s: {why}")
        host.sleep(BUSY_PAUSE_S)
    with _monitor(host.sysfs, vm) as qmp:
        found = digest(host.sysfs, qmp, vm)
    if found.wrong:
        raise SriovError(
            f"VM {vm.name}: {found.wrong} of {vm.mib * 256} pages are not as its guest has written them, before any "
            "save: look at this host's memory, and at its QEMU"
        )
    return replace(vm, sha256=found.hex())


def _unready(host: LiveHost, vm: ThrowAway) -> str | None:
    """Why a VM's memory cannot be read yet; None when it can."""
    if vm.name not in throwaway.running(host.sysfs).values():
        return f"its QEMU does not run, see journalctl -u {vm.unit}"
    try:
        with _monitor(host.sysfs, vm) as qmp:
            ready = state(host.sysfs, qmp, vm)[0] == pattern_guest.READY
    except SriovError as error:
        return str(error)
    return None if ready else "its guest is at work"


def difference(host: LiveHost, vm: ThrowAway) -> str | None:
    """Compare a VM after the jump; None when it is as before.

    Its memory is read before it is woken.
    """
    if vm.name not in throwaway.running(host.sysfs).values():
        return "it does not run"
    with _monitor(host.sysfs, vm) as qmp:
        found = digest(host.sysfs, qmp, vm)
        if found.hex() != vm.sha256:
            return f"its memory is not what it was, {found.wrong} of {vm.mib * 256} pages of its pattern are wrong"
        return None if _wakes(host, qmp, vm) else "it executes nothing: it counted no NMI"


def digest(sysfs: Sysfs, qmp: Qmp, vm: ThrowAway) -> Digest:
    return memory_reader.digest(qmp, sysfs.real(f"{vm.socket}.memory"), vm.mib, vm.seed, HASHED_S)


def state(sysfs: Sysfs, qmp: Qmp, vm: ThrowAway) -> tuple[int, int]:
    """(`READY` once its memory is filled, number of NMIs)."""
    data = bytearray()
    memory_reader.read(qmp, sysfs.real(f"{vm.socket}.memory"), pattern_guest.STATE, 8, ANSWER_S, data.extend)
    first, second = struct.unpack("<2I", bytes(data[:8]))
    return first, second


def _wakes(host: LiveHost, qmp: Qmp, vm: ThrowAway) -> bool:
    """Whether its guest counts an NMI, so executes instructions."""
    before = state(host.sysfs, qmp, vm)[1]
    qmp.execute("inject-nmi")
    until = time.monotonic() + ANSWER_S
    while state(host.sysfs, qmp, vm)[1] == before:
        if time.monotonic() > until:
            return False
        host.sleep(BUSY_PAUSE_S)
    return True


def end(host: LiveHost) -> None:
    """End all throw-away VMs that run; `DeadlineError` for one that stays."""
    found: Mapping[int, str] = throwaway.running(host.sysfs)
    for name in found.values():
        host.run(["systemctl", "kill", "--signal=KILL", ThrowAway(name, 0, 0).unit])
    until = time.monotonic() + ENDED_S
    while throwaway.running(host.sysfs):
        if time.monotonic() > until:
            left = ", ".join(f"{name} (process {pid})" for pid, name in found.items())
            raise DeadlineError(f"gave up waiting for the end of throw-away VMs {left}")
        host.sleep(UNIT_PAUSE_S)


def _monitor(sysfs: Sysfs, vm: ThrowAway) -> Qmp:
    return _qmp.connect(sysfs.real(vm.socket), ANSWER_S)
