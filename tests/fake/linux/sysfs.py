# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sysfs of a fake host, with writes to the fake kernel.

Reads are of the tree, which the fake kernel redraws.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BlockedError, KernelError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools import ethtool

from ..scenarios.faults import KILL, KILL_AFTER, LIE, STUCK, Killed
from .kernel import WRITE_ONLY, Blocked

if TYPE_CHECKING:
    from .host import FakeHost
    from .pf import FakePf


class FakeSysfs(Sysfs):
    """The files of a fake host, as the engine takes them.

    ``reads`` counts how often each file was read; ``writes`` lists what was written, ``within`` deadlines.
    """

    def __init__(self, host: FakeHost) -> None:
        super().__init__(str(host.root))
        self.host = host
        self.reads: dict[str, int] = {}
        self.writes: list[tuple[str, str]] = []
        self.within: list[tuple[str, float]] = []

    def read(self, path: str) -> str:
        self.reads[path] = self.reads.get(path, 0) + 1
        write_only = (self.host.kernel.interface, os.path.basename(path)) in WRITE_ONLY
        if write_only or path.endswith("/sriov_vf_msix_count"):
            raise KernelError("read", path, errno.EACCES)
        if path.endswith(("/sriov_numvfs", "/sriov_vf_total_msix")):
            self._need_free(path)
        return super().read(path)

    def read_bytes(self, path: str, limit: int) -> bytes:
        self.reads[path] = self.reads.get(path, 0) + 1
        return super().read_bytes(path, limit)

    def device_number(self, path: str) -> str | None:
        """Number of a node; files of a fake host are plain ones."""
        node = (self.target(path) if os.path.islink(self.real(path)) else None) or path
        disk = f"/sys/class/block/{os.path.basename(node)}/dev"
        if node in self.host.nodes or not self.exists(disk):
            return self.host.nodes.get(node)
        return f"b {self.read(disk)}"

    def interface_ioctl(self, request: int, netdev: str, data: bytes) -> bytes:
        if (request, ethtool.DRVINFO.unpack(data)[0]) != (ethtool.SIOCETHTOOL, ethtool.GDRVINFO):
            raise AssertionError(f"the fake has no ioctl {request:#x} with {data[:4].hex()}")
        for pf in self.host.pfs.values():
            if pf.netdev == netdev and pf.drvinfo:
                texts = [pf.driver or "", *pf.drvinfo, pf.address, "", ""]
                return ethtool.DRVINFO.pack(ethtool.GDRVINFO, *[text.encode() for text in texts], *[0] * 5)
        raise KernelError("ask for the driver of", netdev, errno.EOPNOTSUPP)

    def write(self, path: str, value: str) -> None:
        try:
            self._carry_out(path, value, "write")
        except Blocked as block:
            raise AssertionError(f"this write would block in the kernel: {block}") from block

    def write_within(self, path: str, value: str, owner: str, seconds: float) -> None:
        """Write; when the kernel blocks, the deadline passes at once.

        Then the PF is locked until `FakeHost.unblock`.
        """
        self.within.append((path, seconds))
        try:
            self._carry_out(path, value, "within")
        except Blocked as block:
            self.host.block(self.host.pfs[owner], path, value)
            raise BlockedError(f"'{value}' written to {path} has not come back: {block}") from block

    def _carry_out(self, path: str, value: str, kind: str) -> None:
        with self.host.lock:
            try:
                fault = self.host.count(path, kind)
                if fault == KILL:
                    raise Killed(path)
                self._need_free(path)
                self._need_global_lock(path)
                if fault == STUCK:
                    raise Blocked(f"the write to {path} hangs")
                if fault != LIE:
                    self._write(path, value)
                if fault == KILL_AFTER:
                    raise Killed(path)
            except OSError as error:
                raise KernelError("write", path, error.errno or 0, value) from error
            finally:
                self.host.draw()
            self.writes.append((path, value))

    def _need_free(self, path: str) -> None:
        """Fail when a PF's lock is with a blocked writer.

        Nothing may touch such a PF.
        """
        for pf in self.host.pfs.values():
            assert pf.pending is None or pf.address not in path, f"{path} would wait for the lock of PF {pf.address}"

    def _need_global_lock(self, path: str) -> None:
        """Block a write to sriov_numvfs while another PF's is blocked.

        Stock kernels hold one lock for all PFs (drivers/pci/iov.c, pci_lock_rescan_remove).
        """
        for pf in self.host.pfs.values() if self.host.kernel.interface == "stock" else ():
            if path.endswith("/sriov_numvfs") and pf.pending and pf.pending[0].endswith("/sriov_numvfs"):
                raise Blocked(f"the write to {pf.pending[0]} holds the lock of all PFs")

    def _write(self, path: str, value: str) -> None:
        if not os.path.exists(self.real(path)):
            raise OSError(errno.ENOENT, path)
        folder, name = os.path.split(os.path.realpath(self.real(path)))
        owner = os.path.basename(folder)
        if owner in self.host.pfs:
            self.host.kernel.write_pf(self.host.pfs[owner], name, value)
        elif name == "drivers_probe":
            self.host.kernel.probe(*self._vf(value))
        elif name == "bind":
            self._bind(owner, value)
        elif name == "unbind":
            self._unbind(owner, value)
        elif name == "driver_override":
            pf, vf_id = self._vf(owner)
            pf.vfs[vf_id].override = value.rstrip("\n") or None
        elif name == "sriov_vf_msix_count":
            self.host.kernel.set_msix(*self._vf(owner), value)
        elif name == "mtu":
            self._set_mtu(folder, value)
        else:
            raise OSError(errno.EACCES, path)

    def _set_mtu(self, folder: str, value: str) -> None:
        """Set the MTU of the interface at ``folder``, below its device's."""
        device = next(part for part in reversed(folder.split("/")) if part.count(":") == 2)
        if device in self.host.pfs:
            self.host.kernel.set_mtu(self.host.pfs[device], None, value)
        else:
            self.host.kernel.set_mtu(*self._vf(device), value)

    def _bind(self, driver: str, value: str) -> None:
        """Bind a VF, or say what is in the way.

        As drivers/base/bus.c, bind_store, and dd.c, device_driver_attach.
        """
        pf, vf_id = self._vf(value)
        vf = pf.vfs[vf_id]
        if vf.override != driver:
            raise OSError(errno.ENODEV, value)
        if vf.driver:
            raise OSError(errno.EBUSY, value)
        self.host.kernel.probe(pf, vf_id)
        if not vf.driver:
            raise OSError(errno.ENODEV, value)

    def _unbind(self, driver: str, value: str) -> None:
        """Unbind a VF; ENODEV where the driver does not have it.

        As drivers/base/bus.c, unbind_store.
        """
        pf, vf_id = self._vf(value)
        if pf.vfs[vf_id].driver != driver:
            raise OSError(errno.ENODEV, value)
        self.host.kernel.unbind(pf, vf_id)

    def _vf(self, value: str) -> tuple[FakePf, int]:
        for pf in self.host.pfs.values():
            for vf_id, vf in pf.vfs.items():
                if vf.address == value.strip():
                    return pf, vf_id
        raise OSError(errno.ENODEV, value)
