# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Meanings of errnos for the files that the engine writes."""

from __future__ import annotations

import errno
import os

from .._model.errors import KernelError, SriovError
from .._model.kernel_interface import CHOICE_FILES, NUMVFS

_LOG = "the kernel's log says more: dmesg"
_NUMBER = {
    errno.EOPNOTSUPP: f"the PF's driver offers no VFs as it is now, as ice without its DDP package; {_LOG}",
    errno.ENOSYS: "the PF's driver was built without SR-IOV",
    errno.ENODEV: "the kernel has no SR-IOV (CONFIG_PCI_IOV), or the device has gone",
    errno.ENOENT: "the PF has no driver that supports SR-IOV",
    errno.ENOMEM: "there are no addresses or bus numbers for that many VFs: enable SR-IOV and 'above 4G decoding' in "
    "the firmware, or boot with pci=realloc",
    errno.ENOSPC: "the device has no MSI-X vectors or queues for that many VFs: enable fewer, or set more in firmware",
    errno.EPERM: "the PF's driver says that VFs are assigned to VMs; stop those first",
    errno.EINVAL: f"the PF's driver takes no such number as it is set up now (DCB, XDP, macvlan offload, MFP); {_LOG}",
    errno.ERANGE: "more than the device or its driver offers (sriov_totalvfs)",
    errno.EBUSY: "another number of VFs is enabled",
    errno.EIO: f"the device or its firmware failed; {_LOG}",
    errno.EAGAIN: "the PF or a VF is in reset",
    errno.ETIMEDOUT: f"the device or its firmware did not answer; {_LOG}",
}
"""Answers to a number of VFs.

drivers/pci/iov.c, sriov_numvfs_store and sriov_enable ("not enough MMIO resources", "bus number out of range": ENOMEM);
drivers/net/ethernet/, the drivers' sriov_configure, with pci_vfs_assigned: EPERM.
"""

_PRESENCE = {
    **_NUMBER,
    errno.EOPNOTSUPP: "the PF's driver has not declared that it can live with absent VFs",
    errno.EBUSY: "another number of VFs is enabled, or a VF is bound to a driver",
    errno.EEXIST: "a VF of these is present already: somebody else has added it",
    errno.ENODEV: "a VF of these is not enabled, or not present any more: somebody else has changed it",
}
_VECTORS = {
    errno.EOPNOTSUPP: "the PF's driver cannot change the MSI-X vectors of its VFs",
    errno.EBUSY: "the VF is bound to a driver",
    errno.ENOSPC: "the PF has not so many vectors left for its VFs",
    errno.EINVAL: "the PF's driver takes no such number for this VF",
    errno.EOVERFLOW: "the PF's driver takes no such number for one VF",
}
"""Answers to a number of MSI-X vectors.

drivers/pci/iov.c, sriov_vf_msix_count_store; mlx5/core/pci_irq.c, mlx5_set_msix_vec_count; ice/ice_sriov.c.
"""

_MEANINGS = {
    NUMVFS: _NUMBER,
    **dict.fromkeys(CHOICE_FILES, _PRESENCE),
    "sriov_vf_msix_count": _VECTORS,
    "mtu": {
        errno.EINVAL: "the interface does not take this MTU",
        errno.EOPNOTSUPP: "the interface's driver cannot change the MTU",
        errno.EBUSY: "the interface's driver cannot change the MTU now, such as with an XDP program attached",
    },
    "drivers_probe": {errno.ENODEV: "the VF has gone"},
}


def meaning(error: SriovError) -> str:
    """Explanation to append to a message, as `` (...)``, or nothing."""
    if not isinstance(error, KernelError):
        return ""
    text = _MEANINGS.get(os.path.basename(error.path), {}).get(error.errno)
    return f" ({text})" if text else ""


def is_no_choice(error: SriovError) -> bool:
    """Whether the PF's driver reported that all enabled VFs must be present."""
    if not isinstance(error, KernelError):
        return False
    return error.errno == errno.EOPNOTSUPP and os.path.basename(error.path) in CHOICE_FILES
