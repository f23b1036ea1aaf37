# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host for live updates: a real libvirtd beside a fake kernel.

PFs, VFs and the kexec are the fake's, domains and their memory real.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import (
    manifest_file,
    resume,
    save,
    watching,
    way_out,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.manifest import Manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import BOOT_ID
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import registry
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.backend import LibvirtBackend
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.backend import QemuBackend
from tests.fake.vm.node import OLD, FakeNode, Rebooted
from tests.fake.vm.update import arm

from . import played_vf
from .armed import DEADLINES
from .domain import IMAGES, Guest
from .host import Host, HostFiles
from .played_vf import Edge

ON = (LibvirtBackend, QemuBackend)
"""The registry with the backend switched on."""


class Looked(BaseException):
    """The end of a first look."""


class NodeFiles(HostFiles):
    """Files of libvirt's host, /sys and the boot those of the fake."""

    def __init__(self, host: Host, node: FakeNode) -> None:
        super().__init__(host.folder, host.pid)
        self.node = node

    def real(self, path: str) -> str:
        if path == BOOT_ID or path.startswith("/sys/"):
            return str(self.node.host.root / path.lstrip("/"))
        return super().real(path)


class NodeEdge(Edge):
    """Programs about VFs are the fake's, the others real."""

    def __init__(self, host: Host, node: FakeNode) -> None:
        super().__init__(host)
        self.node = node

    def __call__(self, argv: Sequence[str]) -> str:
        return self.node.run(argv) if argv[0] in ("ip", "devlink") else super().__call__(argv)


class LibvirtNode:
    """``live`` is what the live update takes; ``guest`` has VF 1."""

    def __init__(self, host: Host, folder: Path, name: str, transient: bool = False) -> None:
        self.host, self.fake = host, FakeNode(folder)
        pf = self.fake.host.igb(played_vf.PF.address, "eth0")
        pf.offset, pf.stride, pf.autoprobe = played_vf.PF.offset, played_vf.PF.stride, False
        self.fake.host.setup(pf, 7, range(7))
        self.fake.put("/sys/class/net/eth0/flags", "0x1003\n")
        self.fake.put(f"/sys/bus/pci/devices/{pf.address}/modalias", f"pci:{pf.address}\n")
        pf.vfs[1].driver = pf.vfs[1].override = "vfio-pci"
        self.fake.host.drivers.add("vfio-pci")
        pf.properties[1].update(mac="02:00:00:00:00:01", vlan=100)
        self.fake.host.draw()
        (folder / IMAGES.lstrip("/")).symlink_to(host.folder / IMAGES.lstrip("/"))
        self.edge = NodeEdge(host, self.fake)
        self.backend = LibvirtBackend(NodeFiles(host, self.fake), self.edge, DEADLINES)
        backends = {"libvirt": self.backend, "qemu": self.fake.qemu}
        self.live = replace(self.fake.live, backends=backends)
        self.fake.live = self.live
        self.guest, self.transient = Guest.made(host, name), transient
        self.guest.run(played_vf.nic(1), transient)

    def arm(self) -> Manifest:
        return arm(self.fake)

    def jump(self) -> None:
        """Save the domain, and start the new kernel: all processes end."""
        with pytest.raises(Rebooted):
            save.run(self.live)
        self.host.cut()

    def resume(self) -> str | None:
        return resume.resume(self.live)

    def ordinary_boot(self) -> None:
        """Boot the old kernel through firmware."""
        self.fake.kexec("BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet")
        self.fake.put("/proc/sys/kernel/osrelease", OLD + "\n")
        self.host.cut()

    def watch(self) -> None:
        """Complete starts by others, as the unit does, until none is left."""
        looks = iter(range(20))

        def sleep(_seconds: float) -> None:
            assert next(looks, None) is not None, f"the watch does not end: {self.fake.log[-3:]}"

        self._watch(sleep)

    def look(self) -> None:
        """Look once, as the unit that watches."""

        def sleep(_seconds: float) -> None:
            raise Looked

        with suppress(Looked):
            self._watch(sleep)

    def _watch(self, sleep: Callable[[float], None]) -> None:
        watching.run(replace(self.live, sleep=sleep), lambda names: way_out.restore(self.live, names))

    def manifest(self) -> Manifest:
        found = manifest_file.load(self.live.folder.path)
        assert found is not None
        return found

    def has_vf(self) -> bool:
        return played_vf.ALIAS in self.host.virsh("dumpxml", "--domain", self.guest.uuid)

    def claim(self) -> str:
        found = _claim.load(self.live.folder.vm(self.guest.name))
        return "" if found is None else found.state

    def require_well(self, boots: int = 1) -> None:
        """Require the domain that was saved, with its VF and without leftovers."""
        assert self.claim() == "acknowledged"
        self.require_runs(boots)

    def require_runs(self, boots: int = 1) -> None:
        """The same of one whose update has no claim of it."""
        uuid = self.guest.uuid
        self.guest.ticks()
        sector = self.guest.sector()
        assert (sector.boots, sector.foreign) == (boots, 0)
        assert self.has_vf()
        info = self.backend.connection.info(uuid)
        assert (info.state, info.autostart, info.managed_save) == ("running", not self.transient, False)
        assert info.persistent != self.transient
        assert [name for name in self.host.sysfs.names("/var/lib/libvirt/qemu/save") if uuid in name] == []
        properties = self.fake.properties(played_vf.address(1))
        assert (properties["mac"], properties["vlan"]) == ("02:00:00:00:00:01", 100)

    def require_shut_off(self) -> None:
        """Require that it has no QEMU; a transient one is gone."""
        assert self.guest.uuid not in self.host.virsh("list", "--uuid").split()
        assert (self.guest.uuid not in self.host.virsh("list", "--all", "--uuid").split()) == self.transient

    def end(self) -> None:
        for command in ("destroy", "managedsave-remove", "undefine --managed-save"):
            self.host.run(["sh", "-c", f"virsh {command} --domain {self.guest.uuid} >/dev/null 2>&1 || true"])
        assert self.guest.uuid not in self.host.virsh("list", "--all", "--uuid")


def switch_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "CLASSES", ON)
