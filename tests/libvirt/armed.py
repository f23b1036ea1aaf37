# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A domain that is armed for a live update, and its backend."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Deadlines, Saved
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.backend import LibvirtBackend
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVf, ManifestVm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.vm_facts import VmFacts
from tests.faults.guest import OBEYS

from . import played_vf
from .domain import Guest
from .host import Host
from .played_vf import Edge

Make = Callable[..., "Armed"]
DEADLINES = Deadlines(unplug_s=15.0, shutdown_s=15.0, migrate_s=30.0, start_s=30.0, answer_s=20.0)


@dataclass
class Armed:
    """A running domain with a VF, found by the backend."""

    guest: Guest
    edge: Edge
    backend: LibvirtBackend
    facts: VmFacts
    vm: ManifestVm
    state: str
    ran: list[str] = field(default_factory=list)

    @classmethod
    def made(
        cls, host: Host, name: str, delay: int = OBEYS, deadlines: Deadlines = DEADLINES, transient: bool = False,
        alias: str = played_vf.ALIAS,
    ) -> Armed:  # fmt: skip
        one = Guest.made(host, name, delay)
        one.run(played_vf.nic(1, alias), transient)
        return cls.of(one, deadlines)

    @classmethod
    def of(cls, one: Guest, deadlines: Deadlines = DEADLINES) -> Armed:
        played_vf.draw(one.host)
        edge = Edge(one.host)
        backend = LibvirtBackend(one.host.sysfs, edge, deadlines)
        (facts,) = [vm for vm in backend.probe({played_vf.PF.address: played_vf.PF}, ()) if _is(vm, one)]
        part = backend.prepare(facts)
        backend.check(part, [vf.address for vf in facts.vfs], "vm.part")
        vm = ManifestVm(
            name=facts.name, backend="libvirt", priority=0, pid=facts.pid, started=facts.started, unit=facts.unit,
            cold_start=False, straggler="leave", on_other_kernel="restore", check={}, part=part,
            vfs=tuple(ManifestVf(vf.pf, vf.id, vf.address, VfProperties()) for vf in facts.vfs),
        )  # fmt: skip
        folder = tempfile.mkdtemp(dir=one.host.folder / "tmp")
        return cls(one, edge, backend, facts, vm, str(Path(folder) / "state"))

    def save(self) -> Saved:
        self.backend.release(self.vm, self.state)
        self.backend.copy(self.vm, self.state, lambda _nearly: False)
        return self.backend.save(self.vm, self.state)

    def restore(self, start: bool = True) -> None:
        self.backend.ready(self.vm)
        self.backend.restore(self.vm, self.state, {}, start, lambda: self.ran.append(self.guest.state()))

    def require_well(self, boots: int = 1) -> None:
        """Require a domain that runs as before, without leftovers."""
        host, uuid = self.guest.host, self.guest.uuid
        self.guest.ticks()
        sector = self.guest.sector()
        assert (sector.boots, sector.foreign) == (boots, 0)
        assert played_vf.ALIAS in host.virsh("dumpxml", "--domain", uuid)
        info = self.backend.connection.info(uuid)
        assert (info.state, info.autostart, info.managed_save) == ("running", info.persistent, False)
        assert info.persistent == (not self.vm.part["definition"])
        assert [name for name in host.sysfs.names("/var/lib/libvirt/qemu/save") if uuid in name] == []
        assert not host.sysfs.exists(f"/var/lib/kvmfleet-sriov/libvirt/{uuid}.json")
        assert not host.sysfs.exists(f"/run/kvmfleet-sriov/libvirt-guests-held/{uuid}")

    def end(self) -> None:
        host = self.guest.host
        for command in ("destroy", "managedsave-remove", "undefine"):
            host.run(["sh", "-c", f"virsh {command} --domain {self.guest.uuid} >/dev/null 2>&1 || true"])


def _is(vm: VmFacts, one: Guest) -> bool:
    return vm.name in (one.name, one.uuid)
