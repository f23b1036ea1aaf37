# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of a PF's driver and firmware, from several sources.

devlink, the kernel's ethtool interface, and files of NVMe controllers.
"""

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
"""PCI class of storage devices, which devlink does not know."""

_OVERALL = ("fw", "fw.version", "fw.mgmt")
"""devlink's names of versions, the one of the whole firmware first.

Linux, devlink-info.rst: ``fw`` is the whole firmware, ``fw.version`` the same in mlx5, ``fw.mgmt`` what controls the
device.
"""


@dataclass(frozen=True)
class Versions:
    """Versions of a PF's driver and firmware, None where unknown.

    ``unread``: the error of a source that could not be read.
    """

    driver_version: str | None = None
    firmware_version: str | None = None
    model: str | None = None
    unread: str | None = None


def read(sysfs: Sysfs, run: Run, pf: PfState) -> Versions:
    """Read the versions from all sources; a missing source is no error."""
    known = _of_nvme(sysfs, pf) if _is_storage(pf) else _of_network(sysfs, run, pf)
    if known.driver_version is None:
        known = replace(known, driver_version=text(sysfs, f"{DEVICES}/{pf.address}/driver/module/version"))
    return replace(known, unread=None) if known.firmware_version else known


def has_devlink(pf: PfState) -> bool:
    """Whether devlink may know the PF, by its PCI class among `FACTS`."""
    return not _is_storage(pf)


def _is_storage(pf: PfState) -> bool:
    return str(pf.facts.get("class", "")).startswith(STORAGE)


def _of_nvme(sysfs: Sysfs, pf: PfState) -> Versions:
    """Versions of an NVMe controller (Linux, drivers/nvme/host/sysfs.c)."""
    for name in sysfs.names(f"{DEVICES}/{pf.address}/nvme"):
        folder = f"{DEVICES}/{pf.address}/nvme/{name}"
        return Versions(None, text(sysfs, f"{folder}/firmware_rev"), text(sysfs, f"{folder}/model"))
    return Versions()


def _of_network(sysfs: Sysfs, run: Run, pf: PfState) -> Versions:
    reported = _by_interface(sysfs, pf.netdev) if pf.netdev else ethtool.DriverInfo()
    try:
        running = devlink.running_versions(run, pf.address)
    except SriovError as error:
        return Versions(reported.version, reported.firmware, unread=str(error))
    firmware = next((running[name] for name in _OVERALL if name in running), None)
    return Versions(reported.version, firmware or reported.firmware)


def _by_interface(sysfs: Sysfs, netdev: str) -> ethtool.DriverInfo:
    """The driver's answer about an interface, empty where it has none."""
    try:
        return ethtool.ask(sysfs, netdev)
    except KernelError:
        return ethtool.DriverInfo()
