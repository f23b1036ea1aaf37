# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of a PF's driver and firmware, from whoever knows them: devlink, ethtool's interface, NVMe's files."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .._model.errors import KernelError, SriovError
from .._model.paths import DEVICES
from .._model.state import PfState
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._tools import devlink, ethtool
from .identity import text

STORAGE = "0x01"
"""PCI class of devices that devlink knows nothing about."""

_OVERALL = ("fw", "fw.version", "fw.mgmt")
"""Names of devlink (Linux, devlink-info.rst): the whole firmware; the same in mlx5; what controls the device."""


@dataclass(frozen=True)
class Versions:
    """None for what nobody knows. ``unread``: why, where somebody could not be asked."""

    driver_version: str | None = None
    firmware_version: str | None = None
    model: str | None = None
    unread: str | None = None


def read(sysfs: Sysfs, run: Run, pf: PfState) -> Versions:
    """A source that is not there is no error."""
    known = _of_nvme(sysfs, pf) if _is_storage(pf) else _of_network(sysfs, run, pf)
    if known.driver_version is None:
        known = replace(known, driver_version=text(sysfs, f"{DEVICES}/{pf.address}/driver/module/version"))
    return replace(known, unread=None) if known.firmware_version else known


def has_devlink(pf: PfState) -> bool:
    """Whether devlink may know the PF, of which `_state.FACTS` were read."""
    return not _is_storage(pf)


def _is_storage(pf: PfState) -> bool:
    return str(pf.facts.get("class", "")).startswith(STORAGE)


def _of_nvme(sysfs: Sysfs, pf: PfState) -> Versions:
    """Linux, drivers/nvme/host/sysfs.c."""
    for name in sysfs.names(f"{DEVICES}/{pf.address}/nvme"):
        folder = f"{DEVICES}/{pf.address}/nvme/{name}"
        return Versions(None, text(sysfs, f"{folder}/firmware_rev"), text(sysfs, f"{folder}/model"))
    return Versions()


def _of_network(sysfs: Sysfs, run: Run, pf: PfState) -> Versions:
    told = _by_interface(sysfs, pf.netdev) if pf.netdev else ethtool.DriverInfo()
    try:
        running = devlink.running_versions(run, pf.address)
    except SriovError as error:
        return Versions(told.version, told.firmware, unread=str(error))
    firmware = next((running[name] for name in _OVERALL if name in running), None)
    return Versions(told.version, firmware or told.firmware)


def _by_interface(sysfs: Sysfs, netdev: str) -> ethtool.DriverInfo:
    """Nothing where the driver has no answer."""
    try:
        return ethtool.parse(sysfs.driver_info(netdev))
    except KernelError:
        return ethtool.DriverInfo()
