# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about drivers of PFs, one row each, with sources.

Paths are below drivers/net/ethernet/ as in Linux 6.12; a driver without a row has the defaults of `DriverFacts`.
"""

from __future__ import annotations

from typing import NamedTuple

DISABLED, UNBOUND, ANY = "no VFs enabled", "no VFs bound to a driver", "VFs as they are"
"""The required state of VFs while the mode of the eswitch changes.

In the words of the documentation.
"""


class EswitchRule(NamedTuple):
    """A driver's rule for changing the mode of the eswitch.

    ``vfs``: `DISABLED`, `UNBOUND` or `ANY`. ``switchdev_after_enabling``: VFs are enabled
    first, in legacy mode.
    ``not_in_switchdev``: properties of VFs that the driver refuses then with EOPNOTSUPP.
    """

    vfs: str
    source: str
    switchdev_after_enabling: bool = False
    not_in_switchdev: frozenset[str] = frozenset()


class DriverFacts(NamedTuple):
    """Facts about one driver of PFs.

    ``control_vectors``: MSI-X vectors of a VF that the driver adds to the number written to it. ``adopts_kept_vfs``: it
    takes over VFs that were kept across kexec; other drivers have them disabled. ``source``: of these two.
    """

    eswitch: EswitchRule = EswitchRule(DISABLED, "no rule for this driver: the mode changes where none is disturbed")
    control_vectors: int = 0
    adopts_kept_vfs: bool = False
    source: str = ""


_ADOPTS = DriverFacts(adopts_kept_vfs=True, source="kernel/README.md, the series' patch of this driver")

DRIVERS = {
    "mlx5_core": DriverFacts(
        EswitchRule(
            UNBOUND,
            "mellanox/mlx5/core/eswitch_offloads.c, mlx5_devlink_eswitch_mode_set: takes the vports of VFs away and "
            "makes them anew, also under drivers that are bound (the vendor's manual: unbind all VFs before); "
            "esw_offloads_start of older kernels: EINVAL without VFs, 'SRIOV legacy not enabled'; eswitch.c, "
            "mlx5_eswitch_set_vport_*",
            switchdev_after_enabling=True,
            not_in_switchdev=frozenset({"vlan", "qos", "vlan_proto", "spoofchk", "trust", "link_state"}),
        )
    ),
    "ice": DriverFacts(
        EswitchRule(
            DISABLED,
            "intel/ice/ice_eswitch.c, ice_eswitch_mode_set: EOPNOTSUPP while there are VFs; ice_sriov.c, "
            "ice_set_vf_trust",
            not_in_switchdev=frozenset({"trust"}),
        ),
        control_vectors=1,
        source="intel/ice/ice_sriov.c, ice_sriov_set_msix_vec_count, 'add 1 MSI-X for OICR': for the VF's control "
        "queue; the kernel's ABI says that the table has the number written",
    ),
    "bnxt_en": DriverFacts(
        EswitchRule(ANY, "broadcom/bnxt/bnxt_vfr.c, bnxt_dl_eswitch_mode_set: makes representors of VFs there are")
    ),
    "nfp": DriverFacts(
        EswitchRule(
            ANY, "netronome/nfp/nfp_devlink.c, nfp_devlink_eswitch_mode_set: left to the firmware's application"
        )
    ),
    "liquidio": DriverFacts(
        EswitchRule(ANY, "cavium/liquidio/lio_main.c, liquidio_eswitch_mode_set: makes representors of VFs there are")
    ),
    "igb": _ADOPTS,
    "nvme": _ADOPTS,
    "ena": _ADOPTS,
    "pci-pf-stub": _ADOPTS,
}
UNKNOWN = DriverFacts()


def facts_of(driver: str | None) -> DriverFacts:
    return DRIVERS.get(driver or "", UNKNOWN)
