# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Meanings of errnos for files and programs of the engine."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence

from .._model.errors import KernelError, PropertyError, SriovError, ToolError
from .._model.kernel_interface import CHOICE_FILES, NUMVFS
from .._tools import tool_errors

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
    "drivers_probe": {
        errno.ENODEV: "the VF has gone",
        errno.EINVAL: f"a driver failed to take the VF, or waits for something else; {_LOG}",
    },
    "bind": {
        errno.ENODEV: "the driver does not take the VF, or the VF has gone",
        errno.EAGAIN: f"the driver waits for another one; {_LOG}",
        errno.EBUSY: "another driver has the VF by now",
    },
    "unbind": {errno.ENODEV: "the VF has gone, or another driver has it by now"},
    "driver_override": {errno.ENODEV: "the VF has gone"},
}
"""Answers of other files.

drivers/base/bus.c, drivers_probe_store (EINVAL for whatever a probe returned), bind_store (any answer of the driver),
unbind_store.
"""

_DEVICE = {
    **{number: _NUMBER[number] for number in (errno.EIO, errno.EAGAIN, errno.ETIMEDOUT)},
    errno.EPERM: "CAP_NET_ADMIN is missing, or the device does not let this PF change it",
    errno.ENODEV: "the PF or the VF has gone",
    errno.ENOMEM: "there is no memory for it",
    errno.EINVAL: f"the PF's driver takes no such value as it is set up now; {_LOG}",
    errno.EOPNOTSUPP: "the PF's driver cannot set it as it is now",
}
_PROPERTY = {
    **_DEVICE,
    errno.EPROTONOSUPPORT: "the PF's driver takes only 802.1q",
    errno.ERANGE: "more than the device offers",
    errno.EBUSY: _DEVICE[errno.EAGAIN],
    errno.ENOENT: "the VF is not enabled",
    errno.EADDRNOTAVAIL: "the device does not take this MAC",
    errno.EEXIST: "another function has this MAC",
    errno.ENOSPC: "the device has no filters left",
    errno.ENETDOWN: "the PF's interface is down",
}
"""Answers to properties of VFs: net/core/rtnetlink.c, do_setvfinfo; the drivers' ndo_set_vf_*."""

_ESWITCH = {
    **_DEVICE,
    errno.EBUSY: "VFs are bound, flows or IPsec are offloaded, or the mode is being changed",
    errno.ENOSPC: "the device has no room for flow tables",
}
"""Answers to a mode of the eswitch: net/devlink/dev.c, the drivers' eswitch_mode_set."""


def meaning(error: SriovError) -> str:
    """Explanation to append to a message, as `` (...)``, or nothing."""
    text = None
    if isinstance(error, KernelError):
        text = _MEANINGS.get(os.path.basename(error.path), {}).get(error.errno)
    elif isinstance(error, PropertyError):
        text = _PROPERTY.get(error.errno)
    elif isinstance(error, ToolError):
        text = _of_program(error.argv).get(tool_errors.errno_of(error.stderr))
    return f" ({text})" if text else ""


def _of_program(argv: Sequence[str]) -> Mapping[int, str]:
    if argv[:1] == ("ip",) and "vf" in argv:
        return _PROPERTY
    return _ESWITCH if argv[:1] == ("devlink",) and "eswitch" in argv and "set" in argv else {}


def is_no_choice(error: SriovError) -> bool:
    """Whether the PF's driver reported that all enabled VFs must be present."""
    if not isinstance(error, KernelError):
        return False
    return error.errno == errno.EOPNOTSUPP and os.path.basename(error.path) in CHOICE_FILES
