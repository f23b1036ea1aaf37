# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What drivers ask for when the mode of their eswitch changes, and what their VFs cannot have in switchdev mode."""

from __future__ import annotations

from typing import NamedTuple

from .settings import SWITCHDEV, PfSettings

DISABLED, UNBOUND, ANY = "disabled", "unbound", "any"
"""What state VFs must be in while the mode changes: none enabled, none bound to a driver, or as they are."""


class Rule(NamedTuple):
    """``vfs``: `DISABLED`, `UNBOUND` or `ANY`. ``enabled_first``: VFs are enabled before switchdev, in legacy mode.

    ``not_in_switchdev``: properties of VFs that the driver refuses then with EOPNOTSUPP.
    """

    vfs: str
    source: str
    enabled_first: bool = False
    not_in_switchdev: frozenset[str] = frozenset()


RULES = {
    "mlx5_core": Rule(
        UNBOUND,
        "mellanox/mlx5/core/eswitch_offloads.c, mlx5_devlink_eswitch_mode_set: takes the vports of VFs away and makes "
        "them anew, also under drivers that are bound (the vendor's manual: unbind all VFs before); "
        "esw_offloads_start of older kernels: EINVAL without VFs, 'SRIOV legacy not enabled'; eswitch.c, "
        "mlx5_eswitch_set_vport_*",
        enabled_first=True,
        not_in_switchdev=frozenset({"vlan", "qos", "vlan_proto", "spoofchk", "trust", "link_state"}),
    ),
    "ice": Rule(
        DISABLED,
        "intel/ice/ice_eswitch.c, ice_eswitch_mode_set: EOPNOTSUPP while there are VFs; ice_sriov.c, ice_set_vf_trust",
        not_in_switchdev=frozenset({"trust"}),
    ),
    "bnxt_en": Rule(ANY, "broadcom/bnxt/bnxt_vfr.c, bnxt_dl_eswitch_mode_set: makes representors of VFs there are"),
    "nfp": Rule(ANY, "netronome/nfp/nfp_devlink.c, nfp_devlink_eswitch_mode_set: left to the firmware's application"),
    "liquidio": Rule(ANY, "cavium/liquidio/lio_main.c, liquidio_eswitch_mode_set: makes representors of VFs there are"),
}
"""By the PF's driver, as in Linux 6.12, paths below drivers/net/ethernet/."""

UNKNOWN = Rule(DISABLED, "no rule for this driver: the mode changes where no driver can be disturbed")


def rule_of(driver: str | None) -> Rule:
    return RULES.get(driver or "", UNKNOWN)


def change_of(driver: str | None, found: PfSettings, wanted: PfSettings) -> Rule | None:
    """The rule to follow where the mode changes, None where it stays."""
    changes = wanted.eswitch_mode is not None and wanted.eswitch_mode != found.eswitch_mode
    return rule_of(driver) if changes else None


def kept_by_nobody(driver: str | None, mode: str | None) -> frozenset[str]:
    """Properties of VFs that a reading in this mode shows, and that no one can have given or can give back."""
    return rule_of(driver).not_in_switchdev if mode == SWITCHDEV else frozenset()


def is_late(rule: Rule, wanted: PfSettings) -> bool:
    """Whether the mode changes after VFs are enabled and have their properties; otherwise before."""
    return rule.enabled_first and wanted.eswitch_mode == SWITCHDEV
