# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Meanings of errnos for the files that the engine writes."""

from __future__ import annotations

import errno
import os

from .._model.errors import KernelError, SriovError
from .._model.kernel_interface import CHOICE_FILES, NUMVFS

_PRESENCE = {
    errno.EOPNOTSUPP: "the PF's driver has not declared that it can live with absent VFs",
    errno.EBUSY: "another number of VFs is enabled, or a VF is bound to a driver",
    errno.ENOENT: "the PF has no driver that supports SR-IOV",
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
    **dict.fromkeys((NUMVFS, *CHOICE_FILES), _PRESENCE),
    "sriov_vf_msix_count": _VECTORS,
    "mtu": {errno.EINVAL: "the interface does not take this MTU"},
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
