# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readers of details that only some specs need.

Each file and each start of a program costs time on a host with many VFs.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Collection, Mapping

from .._model import pci_config
from .._model.errors import BadInputError, KernelError, SriovError, ToolError
from .._model.paths import DEVICES
from .._model.settings import DOWN, UP, PfSettings
from .._model.state import PfState
from .._model.values import shown, whole
from .._model.vf_device import VfDevice
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._tools import devlink
from . import netdevs

_IFF_UP = 1
"""include/uapi/linux/if.h."""

_FLAGS = r"(0x)?[0-9a-f]{1,8}"
"""Flags of an interface (net/core/net-sysfs.c, fmt_hex)."""

RENAMED = (errno.ENOENT, errno.ENODEV)
"""Errnos of files of an interface that was renamed."""


def read_settings(sysfs: Sysfs, run: Run, pf: PfState, wanted: PfSettings) -> PfState:
    """``pf`` with the settings that ``wanted`` gives.

    Raises `BadInputError` for an eswitch mode of a PF without an eswitch.
    """
    mode = None if wanted.eswitch_mode is None else devlink.eswitch_mode(run, pf.address)
    mtu = None if wanted.mtu is None or pf.netdev is None else read_mtu(sysfs, pf.address, pf.netdev)
    link = None if wanted.link is None or pf.netdev is None else read_link(sysfs, pf.address, pf.netdev)
    return pf._replace(settings=PfSettings(mode, mtu, link))


def with_mode(run: Run, pf: PfState) -> PfState:
    """``pf`` with its eswitch mode, unchanged without an eswitch."""
    try:
        return pf._replace(settings=pf.settings._replace(eswitch_mode=devlink.eswitch_mode(run, pf.address)))
    except (BadInputError, ToolError):
        return pf


def read_devices(sysfs: Sysfs, pf: PfState, names: Mapping[int, Collection[str]]) -> PfState:
    """``pf`` with ``names`` of `VfDevice` by VF id, and its MSI-X vectors.

    Only of VFs whose details were read.
    """
    found = {vf_id: _read_device(sysfs, pf, vf_id, wanted) for vf_id, wanted in names.items() if vf_id in pf.vfs}
    return pf._replace(devices=found, total_msix=read_total_msix(sysfs, pf.address))


def read_total_msix(sysfs: Sysfs, address: str) -> int:
    """Vectors that the PF can share out among VFs, or 0.

    Linux before 5.13 has no such file.
    """
    path = f"{DEVICES}/{address}/sriov_vf_total_msix"
    return _number(sysfs, path) if sysfs.exists(path) else 0


def read_mtu(sysfs: Sysfs, address: str, netdev: str) -> int:
    return _number(sysfs, f"{netdevs.path_of(sysfs, f'{DEVICES}/{address}', netdev)}/mtu")


def read_link(sysfs: Sysfs, address: str, netdev: str) -> str:
    """Whether somebody has set an interface up; a cable is another matter."""
    flags = sysfs.read(f"{netdevs.path_of(sysfs, f'{DEVICES}/{address}', netdev)}/flags")
    if not re.fullmatch(_FLAGS, flags, re.ASCII):
        raise SriovError(f"the flags of {netdev} are {shown(flags)}, which is not a number")
    return UP if int(flags, 16) & _IFF_UP else DOWN


def _read_device(sysfs: Sysfs, pf: PfState, vf_id: int, names: Collection[str]) -> VfDevice:
    vf = pf.vfs[vf_id]
    vectors, mtu = None, None
    name = vf.netdev if "name" in names else None
    if "msix_vectors" in names:
        vectors = pci_config.msix_vectors(sysfs.read_bytes(f"{DEVICES}/{vf.address}/config", pci_config.HEADER))
    if "mtu" in names and vf.netdev:
        mtu = _vf_mtu(sysfs, vf.address, vf.netdev)
    return VfDevice(vectors, mtu, name)


def _vf_mtu(sysfs: Sysfs, address: str, netdev: str) -> int | None:
    """MTU of a VF's interface, which udev may have renamed, or None."""
    try:
        return read_mtu(sysfs, address, netdev)
    except KernelError as error:
        if error.errno not in RENAMED:
            raise
    names = netdevs.names(sysfs, f"{DEVICES}/{address}")
    return read_mtu(sysfs, address, names[0]) if names else None


def _number(sysfs: Sysfs, path: str) -> int:
    text = sysfs.read(path)
    found = whole(text)
    if found is None or found < 0:
        raise SriovError(f"{path} holds {shown(text)}, which is not a number")
    return found
