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


TAKES, REFUSES = "takes", "refuses"
"""What a driver does with a VF's MAC address of zeros."""


ENABLE = "enable"
RATES = frozenset({"max_tx_rate", "min_tx_rate"})


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
    takes over VFs that were kept across kexec; other drivers have them disabled. ``no_mac``: what it does with a MAC
    address of zeros, which takes a VF's back to none, where no trial is needed or it does harm. ``needs_up``:
    properties of VFs that it sets only while the PF's interface is up, and `ENABLE` where it enables VFs only then.
    ``source``: of all but ``eswitch``.
    """

    eswitch: EswitchRule = EswitchRule(DISABLED, "no rule for this driver: the mode changes where none is disturbed")
    control_vectors: int = 0
    adopts_kept_vfs: bool = False
    source: str = ""
    no_mac: str = ""
    needs_up: frozenset[str] = frozenset()


_NEEDS_MAC = DriverFacts(
    no_mac=REFUSES,
    source="its ndo_set_vf_mac begins with is_valid_ether_addr, which zeros are not: broadcom/bnx2x/bnx2x_sriov.c, "
    "chelsio/cxgb4/cxgb4_main.c, marvell/octeontx2/nic/otx2_pf.c, qlogic/qede/qede_main.c, "
    "qlogic/qlcnic/qlcnic_sriov_pf.c",
)
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
        no_mac=TAKES,
    ),
    "i40e": DriverFacts(
        no_mac=TAKES,
        source="intel/i40e/i40e_virtchnl_pf.c, i40e_ndo_set_vf_mac: it resets the VF each time, as ice_set_vf_mac does",
    ),
    "bnx2x": _NEEDS_MAC,
    "cxgb4": _NEEDS_MAC._replace(
        needs_up=RATES,
        source=f"{_NEEDS_MAC.source}; chelsio/cxgb4/cxgb4_main.c, cxgb4_mgmt_set_vf_rate: EINVAL without a link",
    ),
    "qede": _NEEDS_MAC,
    "qlcnic": _NEEDS_MAC,
    "rvu_nicpf": _NEEDS_MAC._replace(
        needs_up=frozenset({"mac", "vlan", "qos", "vlan_proto"}),
        source=f"{_NEEDS_MAC.source}; marvell/octeontx2/nic/otx2_pf.c, otx2_set_vf_mac: EAGAIN unless netif_running",
    ),
    "bnxt_en": DriverFacts(
        EswitchRule(ANY, "broadcom/bnxt/bnxt_vfr.c, bnxt_dl_eswitch_mode_set: makes representors of VFs there are"),
        needs_up=RATES | {ENABLE},
        source="broadcom/bnxt/bnxt_sriov.c, bnxt_sriov_configure: 'Reject SRIOV config request since if is down!', and "
        "0 VFs without an error; bnxt_set_vf_bw: no rate above the speed of the link",
    ),
    "nfp": DriverFacts(
        EswitchRule(
            ANY, "netronome/nfp/nfp_devlink.c, nfp_devlink_eswitch_mode_set: left to the firmware's application"
        )
    ),
    "liquidio": DriverFacts(
        EswitchRule(ANY, "cavium/liquidio/lio_main.c, liquidio_eswitch_mode_set: makes representors of VFs there are"),
        no_mac=REFUSES,
        source="cavium/liquidio/lio_main.c, __liquidio_set_vf_mac",
    ),
    "igb": _ADOPTS._replace(
        needs_up=RATES,
        source=f"{_ADOPTS.source}; intel/igb/igb_main.c, igb_ndo_set_vf_bw: EINVAL without E1000_STATUS_LU",
    ),
    "ixgbe": DriverFacts(
        needs_up=RATES, source="intel/ixgbe/ixgbe_sriov.c, ixgbe_ndo_set_vf_bw: EINVAL without a link"
    ),
    "be2net": DriverFacts(
        needs_up=RATES,
        source="emulex/benet/be_main.c, be_set_vf_tx_rate: 'TX-rate setting not allowed when link is down'",
    ),
    "hinic": DriverFacts(
        needs_up=RATES, source="huawei/hinic/hinic_sriov.c, hinic_ndo_set_vf_bw: 'Link status must be up'"
    ),
    "nvme": _ADOPTS,
    "ena": _ADOPTS,
    "pci-pf-stub": _ADOPTS,
}
UNKNOWN = DriverFacts()


def facts_of(driver: str | None) -> DriverFacts:
    return DRIVERS.get(driver or "", UNKNOWN)
