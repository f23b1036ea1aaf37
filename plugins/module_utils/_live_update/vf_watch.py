# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch of the host for its VMs' VFs to work again.

The outage of a VM ends there, not when its QEMU says that it runs. Nobody waits for it: each VM has a thread.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .._model.errors import SriovError
from .._model.update_deadlines import ATTEMPT_PAUSE_S, ATTEMPT_S
from .._vm.guest_interface import GuestInterface
from .._vm.record import ManifestVm
from . import checks
from .checks import Check
from .machine import FAILURES, LiveHost
from .status import Progress

Attempt = Callable[[], "str | None"]
"""One attempt to reach a VM's VFs.

None when they work, else what was found."""


@dataclass
class VfWatch:
    """The watch of one run.

    A VM's result gets ``seen_by``, the check in words, and either ``seen_at`` or ``not_seen``, the reason.
    """

    host: LiveHost
    progress: Progress
    threads: list[threading.Thread] = field(default_factory=list)

    def begin(self, vm: ManifestVm) -> None:
        """Begin with a VM that runs, if its check is the host's."""
        check = checks.parse(vm.check, f"VM {vm.name}")
        if check is not None:
            self.threads.append(threading.Thread(target=self._watch, args=(vm, check), daemon=True))
            self.threads[-1].start()

    def finish(self) -> None:
        """Wait until each VM was seen, or its time is over."""
        for thread in self.threads:
            thread.join()

    @property
    def open(self) -> bool:
        return any(thread.is_alive() for thread in self.threads)

    def _watch(self, vm: ManifestVm, check: Check) -> None:
        why = wait(made(self.host, vm, check), check.within_s, self.host.sleep)
        if why is None:
            self.progress.update_vm(vm.name, seen_by=str(check), seen_at=self.host.now(), not_seen=None)
        else:
            self.host.log(f"VM {vm.name}: its VF was not seen to work: {why}")
            self.progress.update_vm(vm.name, seen_by=str(check), seen_at=None, not_seen=why)


def wait(attempt: Attempt, within_s: float, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """Try until it is well, else return what the last attempt found.

    Any failure of an attempt counts as not seen.
    """
    until = time.monotonic() + within_s
    while True:
        try:
            found = attempt()
        except SriovError as error:
            found = str(error)
        except OSError as error:
            found = os.strerror(error.errno) if error.errno else str(error)
        except FAILURES as error:  # such as an answer in another form
            found = f"the look failed: {error!r}"[:200]
        if found is None or time.monotonic() >= until:
            return None if found is None else f"{found}, for {within_s:g} s"
        sleep(ATTEMPT_PAUSE_S)


def made(host: LiveHost, vm: ManifestVm, check: Check) -> Attempt:
    """The attempt of a check that is the host's."""
    if check.kind == checks.AGENT:
        return _Agent(host, vm)
    if check.kind == checks.ARP:
        return lambda: _arp(host, vm, check)
    return lambda: None if host.ping(check.address, ATTEMPT_S) else f"{check.address} does not answer a ping"


def _arp(host: LiveHost, vm: ManifestVm, check: Check) -> str | None:
    """Ask who has the address; another's answer is not the VM's."""
    mac = host.arp(check.address, check.interface, ATTEMPT_S)
    if mac is None:
        return f"nobody at {check.interface} answers ARP for {check.address}"
    known = _macs(vm)
    if known and mac not in known.values():
        return f"{check.address} is {mac}, which is no VF of this VM"
    return None


def _macs(vm: ManifestVm) -> dict[str, str]:
    """MAC addresses of a VM's VFs, of those that have one."""
    found = {vf.address: (vf.properties.mac or "").lower() for vf in vm.vfs}
    return {address: mac for address, mac in found.items() if mac.strip("0:")}


@dataclass
class _Agent:
    """Attempts through the guest agent.

    Each VF's interface must be there, with an address, and must have received something since the first look at it.
    """

    host: LiveHost
    vm: ManifestVm
    before: dict[str, int] = field(default_factory=dict)

    def __call__(self) -> str | None:
        macs = _macs(self.vm)
        for vf in self.vm.vfs:
            if vf.address not in macs:
                return f"VF {vf.address} has no MAC address on the host, by which the guest's interface could be found"
        interfaces = {one.mac: one for one in self.host.backend(self.vm).networks(self.vm)}
        found = [self._of(mac, interfaces) for mac in macs.values()]
        return next((one for one in found if one is not None), None if found else "it has no VF")

    def _of(self, mac: str, interfaces: Mapping[str, GuestInterface]) -> str | None:
        one = interfaces.get(mac)
        if one is None:
            return f"the guest agent reports no interface {mac}"
        if not one.has_address:
            return f"the guest agent reports no address of interface {mac}"
        if one.received is None:
            return f"the guest agent reports no counters of interface {mac}"
        if one.received <= self.before.setdefault(mac, one.received):
            return f"interface {mac} of the guest receives nothing"
        return None
