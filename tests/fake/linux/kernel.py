# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake kernel's answers to writes, for each kernel interface.

They are vf-id, vf-id-narrow and stock.
"""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING, NoReturn

from .pf import DEFAULTS, IPOIB_MTU, MTU, FakePf, FakeVf

if TYPE_CHECKING:
    from .host import FakeHost

PAGE = 4096
FILES = {
    "stock": ("sriov_numvfs",),
    "vf-id-narrow": ("sriov_numvfs", "sriov_numvfs_no_scan", "sriov_scan_vf_id"),
    "vf-id": ("sriov_numvfs", "sriov_numvfs_no_scan", "sriov_scan_vf_id", "sriov_remove_vf_id"),
}
WRITE_ONLY = {("vf-id", "sriov_remove_vf_id"), ("vf-id-narrow", "sriov_scan_vf_id")}


class Blocked(Exception):  # noqa: N818 - no error of anybody: the kernel waits
    """The kernel waiting, while a VF is in use.

    The kernel does not answer then (vfio_unregister_group_dev).
    """


def answer(number: int) -> NoReturn:
    raise OSError(number, errno.errorcode[number])


class FakeKernel:
    """The kernel's part in changing the PFs of a host.

    Every refusal is an OSError with the errno and leaves everything as it was.
    """

    def __init__(self, host: FakeHost, interface: str) -> None:
        self.host, self.interface = host, interface

    def files(self, pf: FakePf) -> dict[str, str]:
        """Texts of the kernel interface's files in a PF's folder."""
        return dict.fromkeys(FILES[self.interface], f"{pf.enabled}\n")

    def write_pf(self, pf: FakePf, name: str, value: str) -> None:
        """Write to a file in the folder of a PF."""
        actions = {
            "sriov_numvfs": self._numvfs, "sriov_numvfs_no_scan": self._no_scan, "sriov_scan_vf_id": self._scan,
            "sriov_remove_vf_id": self._remove, "sriov_drivers_autoprobe": self._autoprobe,
        }  # fmt: skip
        if name not in actions:
            answer(errno.EACCES)
        if len(value) >= PAGE:
            answer(errno.E2BIG)
        actions[name](pf, value)

    def _autoprobe(self, pf: FakePf, value: str) -> None:
        if value.strip() not in ("0", "1", "y", "n"):
            answer(errno.EINVAL)
        pf.autoprobe = value.strip() in ("1", "y")

    def _numvfs(self, pf: FakePf, value: str) -> None:
        number = self._checked(pf, value)
        if number == 0:
            self._disable(pf)
        elif pf.enabled not in (0, number):
            answer(errno.EBUSY)
        elif pf.enabled == 0 or self.interface == "vf-id":  # the narrow form leaves the stock file as it is
            self._enable(pf, number)
            for vf_id in sorted(set(range(number)) - set(pf.vfs)):
                self._add(pf, vf_id)

    def _no_scan(self, pf: FakePf, value: str) -> None:
        number = self._checked(pf, value)
        if not pf.opt_in:
            answer(errno.EOPNOTSUPP)
        if number == 0:
            self._disable(pf)
        elif pf.enabled not in (0, number):
            answer(errno.EBUSY)
        elif pf.enabled == 0:
            self._enable(pf, number)
            if self.interface == "vf-id-narrow":
                self._add(pf, 0)

    def _scan(self, pf: FakePf, value: str) -> None:
        ids = self._ids(pf, value)
        if any(vf_id in pf.vfs for vf_id in ids):
            answer(errno.EEXIST)
        for vf_id in ids:
            self._add(pf, vf_id)

    def _remove(self, pf: FakePf, value: str) -> None:
        ids = self._ids(pf, value)
        if any(vf_id not in pf.vfs for vf_id in ids):
            answer(errno.ENODEV)
        if any(pf.vfs[vf_id].driver for vf_id in ids):
            answer(errno.EBUSY)
        for vf_id in ids:
            del pf.vfs[vf_id]

    def _checked(self, pf: FakePf, value: str) -> int:
        """The number written to sriov_numvfs, checked.

        As drivers/pci/iov.c, sriov_numvfs_store: kstrtou16, then the range, then the driver.
        """
        if not re.fullmatch(r"\d+\n?", value, re.ASCII) or int(value) > 65535:
            answer(errno.EINVAL)
        if int(value) > pf.total:
            answer(errno.ERANGE)
        if int(value) != pf.enabled and pf.driver is None:
            answer(errno.ENOENT)
        return int(value)

    def _ids(self, pf: FakePf, value: str) -> list[int]:
        """The ids of a list that was written, checked.

        The order is the kernel's: the driver, then whether SR-IOV is on, then the list.
        """
        if pf.driver is None:
            answer(errno.ENOENT)
        if not pf.opt_in:
            answer(errno.EOPNOTSUPP)
        if pf.enabled == 0:
            answer(errno.ENOENT)
        pattern = r"\d+\n?" if self.interface == "vf-id-narrow" else r"\d+(-\d+)?(,\d+(-\d+)?)*\n?"
        if not re.fullmatch(pattern, value, re.ASCII):
            answer(errno.EINVAL)
        pairs = [[int(end) for end in part.split("-")] for part in value.strip().split(",")]
        if any(pair[-1] < pair[0] for pair in pairs):
            answer(errno.EINVAL)
        if any(pair[-1] >= pf.enabled for pair in pairs):
            answer(errno.ENODEV)
        return sorted({number for pair in pairs for number in range(pair[0], pair[-1] + 1)})

    def _enable(self, pf: FakePf, number: int) -> None:
        if "enable" in pf.needs_up and not pf.up:
            return  # without an error (broadcom/bnxt/bnxt_sriov.c, bnxt_sriov_configure)
        if pf.enabled == 0:
            pf.enabled = number
            pf.properties = {vf_id: dict(DEFAULTS) for vf_id in range(number)} if pf.netdev else {}

    def _disable(self, pf: FakePf) -> None:
        """Disable the VFs one by one, until one is in use.

        As drivers/pci/iov.c, sriov_del_vfs: those before it are gone when it blocks.
        """
        ids = sorted(pf.vfs)
        for vf_id in ids:
            self._released(pf, vf_id)
            del pf.vfs[vf_id]
        if pf.busy:
            for vf_id in ids:
                self._add(pf, vf_id)
            answer(errno.EAGAIN)
        pf.enabled, pf.properties, pf.vectors = 0, {}, {}

    def _released(self, pf: FakePf, vf_id: int) -> None:
        if pf.vfs[vf_id].in_use:
            raise Blocked(f"VF {vf_id} of {pf.address} is in use")

    def _add(self, pf: FakePf, vf_id: int) -> None:
        pf.vfs[vf_id] = FakeVf(pf.vf_address(vf_id), self.host.next_group())
        self.probe(pf, vf_id)

    def probe(self, pf: FakePf, vf_id: int) -> None:
        """Bind a VF to its driver (pci_device_can_probe).

        With autoprobe 0 no driver binds without an override.
        """
        vf = pf.vfs[vf_id]
        wanted = vf.override or (pf.vf_driver if pf.autoprobe else None)
        if vf.driver is None and wanted in self.host.drivers and wanted not in self.host.reluctant:
            vf.driver, vf.mtu = wanted, IPOIB_MTU if pf.link_type == "infiniband" else MTU

    def unbind(self, pf: FakePf, vf_id: int) -> None:
        self._released(pf, vf_id)
        pf.vfs[vf_id].driver = pf.vfs[vf_id].name = None

    def set_mtu(self, pf: FakePf, vf_id: int | None, value: str) -> None:
        """Set the MTU of the PF's interface, or of a VF's.

        As net/core/dev.c, dev_validate_mtu.
        """
        if not re.fullmatch(r"\d+\n?", value, re.ASCII) or not 68 <= int(value) <= pf.max_mtu:
            answer(errno.EINVAL)
        if vf_id is None:
            pf.mtu = int(value)
        else:
            pf.vfs[vf_id].mtu = int(value)

    def set_msix(self, pf: FakePf, vf_id: int, value: str) -> None:
        """Set a VF's number of MSI-X vectors.

        As drivers/pci/iov.c, sriov_vf_msix_count_store, then the driver.
        """
        if not re.fullmatch(r"\d+\n?", value, re.ASCII):
            answer(errno.EINVAL)
        if not pf.total_msix:
            answer(errno.EOPNOTSUPP)
        if pf.vfs[vf_id].driver:
            answer(errno.EBUSY)
        number = int(value)
        if number == 0:
            pf.vectors.pop(vf_id, None)
            return
        others = sum(pf.vectors.get(i, pf.default_msix) for i in range(pf.enabled) if i != vf_id)
        if others + number > pf.total_msix:
            answer(errno.ENOSPC)
        pf.vectors[vf_id] = number

    def set_eswitch(self, pf: FakePf, mode: str) -> None:
        """Set the eswitch mode, as the driver's op does.

        `_model.drivers` names the files.
        """
        if pf.eswitch is None:
            answer(errno.EOPNOTSUPP)
        if pf.driver == "bnxt_en" and pf.eswitch == mode:
            answer(errno.EINVAL)
        if pf.eswitch == mode:
            return
        if pf.driver == "mlx5_core":
            self._mlx5_mode(pf, mode)
        elif pf.driver != "bnxt_en" and pf.enabled:
            answer(errno.EOPNOTSUPP)
        pf.eswitch = mode

    def _mlx5_mode(self, pf: FakePf, mode: str) -> None:
        """Change the mode as mlx5 does; fail when VFs are bound.

        The kernel would take vports away below bound drivers without an error. Representors own the links afterwards.
        """
        bound = [vf_id for vf_id, vf in pf.vfs.items() if vf.driver]
        if bound:
            raise AssertionError(f"VFs {bound} of {pf.address} are bound while their eswitch changes")
        if mode == "switchdev" and pf.vfs_first and not pf.enabled:
            answer(errno.EINVAL)
        for properties in pf.properties.values():
            properties["link_state"] = "disable" if mode == "switchdev" else "auto"
