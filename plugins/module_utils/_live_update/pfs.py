# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PFs of a resuming host.

Waited for, enabled all at once, given the VFs that VMs own, and filled afterwards.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .._document.document import HostDocument, PfSpec
from .._document.vf_spec import VfSpec
from .._engine import converge
from .._model import vf_ids
from .._model.deadlines import DRIVERS_PAUSE_S, LINK_PAUSE_S
from .._model.errors import DeadlineError, SriovError
from .._model.paths import DEVICES
from .._model.state import PfState
from .._model.update_deadlines import LINK_ATTEMPTS
from .._readers import netdevs
from .._readers.pfs import read_pfs
from .._vm.record import ManifestVm
from .machine import FAILURES, LiveHost
from .manifest import Manifest, ManifestPf
from .options import Options
from .rates import Rates

VFIO = "vfio-pci"


@dataclass
class PfSet:
    """All PFs of a manifest.

    ``ready``: for each decided PF None, or the reason why it cannot be used; ``added``: ids so far.
    """

    host: LiveHost
    manifest: Manifest
    options: Options
    ready: dict[str, str | None] = field(default_factory=dict)
    added: dict[str, set[int]] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    rates: Rates = field(init=False)
    _writing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self.rates = Rates(self.host, self._converge)

    def enable_all(self) -> list[threading.Thread]:
        """Enable all PFs, each in a thread of its own.

        So a slow driver holds up only the VMs whose VFs are its own.
        """
        threads = [threading.Thread(target=self._enable, args=(pf,), daemon=True) for pf in self.manifest.pfs]
        for thread in threads:
            thread.start()
        return threads

    def next_ready(self, pending: Sequence[ManifestVm]) -> list[ManifestVm]:
        """Wait for VMs whose PFs are all decided.

        Returns the first such of ``pending`` (in priority order), and others of its priority.
        """
        with self.changed:
            while True:
                decided = [vm for vm in pending if all(vf.pf in self.ready for vf in vm.vfs)]
                if decided:
                    return [vm for vm in decided if vm.priority == decided[0].priority]
                self.changed.wait()

    def give(self, vms: Sequence[ManifestVm]) -> None:
        """Add the VFs of ``vms``.

        Properties are written and read back, then VFs are present, then bound to vfio-pci. Raises `SriovError` when any
        of it fails; VFs that were added before stay. Rates may follow when there is carrier.
        """
        wanted: dict[str, list[VfSpec]] = {}
        for vm in vms:
            for vf in vm.vfs:
                reason = self.ready[vf.pf]
                if reason is not None:
                    raise SriovError(f"VM {vm.name}: {reason}")
                spec = VfSpec(frozenset({vf.id}), VFIO, vf.properties)
                wanted.setdefault(vf.pf, []).append(spec)
        lesser = self.rates.without(wanted)
        try:
            self._converge([self._spec(address, vfs) for address, vfs in wanted.items()])
        except SriovError:
            if lesser == wanted:
                raise
            self._converge([self._spec(address, vfs) for address, vfs in lesser.items()])
            self.rates.hold(wanted, lesser)
        for address, vfs in wanted.items():
            self.added.setdefault(address, set()).update(_ids(vfs))

    def present(self) -> dict[str, list[int]]:
        """Read the present ids of every PF of the manifest from sysfs."""
        known = [pf.pf for pf in self.manifest.pfs if self.host.sysfs.exists(f"{DEVICES}/{pf.pf}/sriov_totalvfs")]
        states = read_pfs(self.host.sysfs, known, vfs=False)
        return {pf.pf: sorted(states[pf.pf].present) if pf.pf in states else [] for pf in self.manifest.pfs}

    def states(self) -> dict[str, PfState]:
        return read_pfs(self.host.sysfs, vfs=False)

    def fill(self, left_out: frozenset[tuple[str, int]]) -> list[str]:
        """Add the remaining VFs in chunks; returns the remaining differences.

        With a pause after each chunk. Autoprobe goes back before the chunks, so that VFs which had their default driver
        get it again; the VFs of VMs are bound by override already.
        """
        good = [pf for pf in self.manifest.pfs if self.ready.get(pf.pf) is None]
        self._try([PfSpec(pf.pf, drivers_autoprobe=pf.drivers_autoprobe) for pf in good])
        missing = {pf.pf: sorted(self._wanted(pf) - self._present_of(pf.pf) - _own(left_out, pf.pf)) for pf in good}
        while any(missing.values()):
            chunk = {pf: ids[: self.options.fill_chunk] for pf, ids in missing.items() if ids}
            missing = {pf: ids[self.options.fill_chunk :] for pf, ids in missing.items()}
            self._try([PfSpec(pf, present_vfs=self._present_of(pf) | frozenset(ids)) for pf, ids in chunk.items()])
            self.host.sleep(self.options.fill_pause_s)
        late = self.rates.finish()
        return self._differences(good, left_out) + late + [why for why in self.ready.values() if why is not None]

    def _enable(self, pf: ManifestPf) -> None:
        problem: str | None = f"PF {pf.pf} cannot be used: its thread ended unexpectedly"
        try:
            self._wait_for_driver(pf)
            self._bring_up(pf)
            spec = PfSpec(pf.pf, pf.hardware_vfs, drivers_autoprobe=False, unmanaged=True)
            self._bring(HostDocument((spec,)))
            problem = None
        except FAILURES as error:
            problem = f"PF {pf.pf} cannot be used: {error}"
            self.host.log(problem)
        finally:  # whatever happened, nobody may wait for this PF for ever
            with self.changed:
                self.ready[pf.pf] = problem
                self.changed.notify_all()

    def _wait_for_driver(self, pf: ManifestPf) -> None:
        """Wait for a PF's driver and, if it had one, network interface.

        Its module is requested once. Raises `DeadlineError`.
        """
        folder, until = f"{DEVICES}/{pf.pf}", time.monotonic() + self.options.drivers_s
        asked = False
        while not self._is_there(pf):
            if not asked and self.host.sysfs.exists(f"{folder}/modalias"):
                asked = True
                self._quietly(["modprobe", "--quiet", self.host.sysfs.read(f"{folder}/modalias")])
                continue
            if time.monotonic() >= until:
                what = "network interface" if self.host.sysfs.link(f"{folder}/driver") else f"driver ({pf.driver})"
                raise DeadlineError(f"its {what} did not appear within {self.options.drivers_s:g} s")
            self.host.sleep(DRIVERS_PAUSE_S)

    def _is_there(self, pf: ManifestPf) -> bool:
        folder = f"{DEVICES}/{pf.pf}"
        has_driver = self.host.sysfs.link(f"{folder}/driver") is not None
        return has_driver and (pf.netdev is None or bool(netdevs.names(self.host.sysfs, folder)))

    def _bring_up(self, pf: ManifestPf) -> None:
        """Bring up the PF's link, which some VF drivers wait for.

        udev may rename the interface, so the name is read each time.
        """
        if not pf.netdev_up:
            return
        last: SriovError | None = None
        for _attempt in range(LINK_ATTEMPTS):
            try:
                name = netdevs.names(self.host.sysfs, f"{DEVICES}/{pf.pf}")[0]
                self.host.run(["ip", "link", "set", "dev", name, "up"])
                return
            except (SriovError, IndexError) as error:
                last = error if isinstance(error, SriovError) else SriovError("its network interface vanished")
                self.host.sleep(LINK_PAUSE_S)
        raise last or SriovError("its network interface cannot be brought up")

    def _spec(self, address: str, vfs: Sequence[VfSpec]) -> PfSpec:
        present = frozenset(self.added.get(address, set())) | _ids(vfs)
        return PfSpec(address, present_vfs=present | self._present_of(address), vfs=tuple(vfs))

    def _converge(self, specs: Sequence[PfSpec]) -> None:
        """Converge PFs, and try again when that fails.

        An interface that udev renamed between reading and writing makes the first attempt fail.
        """
        document = HostDocument(tuple(specs))
        with self._writing:
            try:
                self._bring(document)
            except SriovError as error:
                self.host.log(f"trying again: {error}")
                self._bring(document)

    def _bring(self, document: HostDocument) -> None:
        """Converge PFs without locks.

        VMs wait, and during an update no other run changes PFs (`_system/update_guard`).
        """
        converge.converge(self.host.sysfs, self.host.run, document, lock_s=None)

    def _try(self, specs: Sequence[PfSpec]) -> None:
        if specs:
            try:
                self._converge(specs)
            except SriovError as error:
                self.host.log(f"fill: {error}")

    def _quietly(self, argv: list[str]) -> None:
        try:
            self.host.run(argv)
        except SriovError as error:
            self.host.log(str(error))

    def _present_of(self, address: str) -> frozenset[int]:
        return read_pfs(self.host.sysfs, [address], vfs=False)[address].present

    def _wanted(self, pf: ManifestPf) -> frozenset[int]:
        return vf_ids.parse(pf.present_vfs, pf.hardware_vfs)

    def _differences(self, pfs: Sequence[ManifestPf], left_out: frozenset[tuple[str, int]]) -> list[str]:
        """Remaining differences from the manifest, by a fresh reading.

        In the number of enabled VFs, the present ids, and autoprobe.
        """
        states, wrong = self.states(), []
        for pf in pfs:
            state = states[pf.pf]
            lost = self._wanted(pf) - state.present - _own(left_out, pf.pf)
            if state.enabled != pf.hardware_vfs:
                wrong.append(f"PF {pf.pf} has {state.enabled} VFs enabled, it had {pf.hardware_vfs}")
            if lost:
                wrong.append(f"PF {pf.pf} lacks VFs {vf_ids.compress(lost)}")
            if state.autoprobe != pf.drivers_autoprobe:
                wrong.append(f"PF {pf.pf} has drivers_autoprobe {state.autoprobe}, it was {pf.drivers_autoprobe}")
        return wrong


def _ids(vfs: Iterable[VfSpec]) -> frozenset[int]:
    return frozenset(int(vf_id) for vf in vfs for vf_id in vf.ids)


def _own(pairs: frozenset[tuple[str, int]], address: str) -> frozenset[int]:
    return frozenset(vf_id for pf, vf_id in pairs if pf == address)
