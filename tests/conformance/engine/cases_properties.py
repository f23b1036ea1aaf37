# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for properties of VFs and settings of PFs.

The judges are `ip` and the kernel's own files.

What is set, and what is refused with which errno, is what igb does (drivers/net/ethernet/intel/igb/igb_main.c,
igb_ndo_*): it knows neither link states nor RSS queries, no minimum rate, and of VLAN protocols only 802.1Q. Left out:
eswitches and MSI-X vectors that can be set, and GUIDs; no emulated device has them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from cases_engine import ENGINE, VFIO, declare, driver, fails, needs_vfio, vfinfo
from cases_users import interface_of
from harness import DEVICES, Pf, SkippedError, case, require
from kvmfleet_sriov._engine import apply
from kvmfleet_sriov._model import errors

BACK = "the PF is back in its previous state"
MAC = "02:00:00:00:00:10"


def netdev_of(pf: Pf) -> str:
    names = pf.files.names(f"{pf.path}/net")
    if not names:
        raise SkippedError("needs a PF with a network interface")
    return names[0]


def settle(pf: Pf, *vfs: dict[str, Any], **more: object) -> None:
    """Declare properties, as check mode predicts; then nothing is left to do."""
    spec = {**more, "vfs": list(vfs)}
    asked = declare(pf, spec, check=True)
    done = declare(pf, spec)
    differ = [key for key in asked if asked[key] != done[key]]
    require(not differ, f"{spec}: {differ} were predicted otherwise")
    again = declare(pf, spec)
    require(not again["changed"], f"the second run of {spec} did {again['steps']}")


def settled(pf: Pf, *vfs: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Declare properties as `settle`, and return what `ip` shows."""
    settle(pf, *vfs)
    return vfinfo(pf, netdev_of(pf))


def two(pf: Pf) -> str:
    """Two present VFs, and the PF's network interface."""
    netdev = netdev_of(pf)
    declare(pf, {"hardware_vfs": 2, "present_vfs": "all"})
    return netdev


def is_refused(pf: Pf, words: str, *vfs: dict[str, Any]) -> None:
    """Require a refusal by the kernel, and an undo.

    The error has ``words``, and `ip` shows the same as before.
    """
    before = vfinfo(pf, netdev_of(pf))
    fails(apply.ApplyError, words, partial(declare, pf, {"vfs": list(vfs)}))
    fails(apply.ApplyError, BACK, partial(declare, pf, {"vfs": list(vfs)}))
    after = vfinfo(pf, netdev_of(pf))
    require(before == after, f"before {before}, afterwards {after}")


@case(interfaces=ENGINE)
def case_properties_mac(pf: Pf) -> None:
    """MAC addresses: one, one with `+id`, and a hash.

    The hash stays what it is.
    """
    two(pf)
    found = settled(pf, {"ids": 0, "mac": MAC}, {"ids": "1", "mac": "02:00:00:00:00:20+id"})
    macs = [found[i]["address"] for i in (0, 1)]
    require(macs == [MAC, "02:00:00:00:00:21"], f"the MAC addresses are {macs}")
    found = settled(pf, {"ids": "0-1", "mac": "hash"})
    macs = [found[i]["address"] for i in (0, 1)]
    require(len(set(macs)) == 2, f"the MAC addresses are {macs}")
    require(all(int(mac[:2], 16) & 3 == 2 for mac in macs), f"not all of {macs} are local addresses of one device")
    declare(pf, {"hardware_vfs": 0, "present_vfs": "none"})
    two(pf)
    found = settled(pf, {"ids": "0-1", "mac": "hash"})
    require([found[i]["address"] for i in (0, 1)] == macs, f"they were {macs}, and are {found}")


@case(interfaces=ENGINE)
def case_properties_vlan(pf: Pf) -> None:
    """VLAN and priority set, changed and cleared together.

    The VF beside it has none.
    """
    two(pf)
    for vlan, qos in ((100, 5), (100, 0), (200, 3), (0, 0)):
        found = settled(pf, {"ids": 1, "vlan": vlan, "qos": qos})
        have = found[1]["vlan_list"][0]
        require((have.get("vlan", 0), have.get("qos", 0)) == (vlan, qos), f"of VF 1 it is {have}")
        require(not found[0]["vlan_list"][0].get("vlan"), f"VF 0 has {found[0]['vlan_list']}")


@case(interfaces=ENGINE)
def case_properties_vlan_protocol(pf: Pf) -> None:
    """802.1ad refused with the kernel's errno; the VLAN stays."""
    two(pf)
    settle(pf, {"ids": 0, "vlan": 100, "qos": 5})
    spec = {"ids": 0, "mac": MAC, "vlan": 300, "vlan_proto": "802.1ad"}
    is_refused(pf, "vlan_proto 802.1ad: EPROTONOSUPPORT", spec)


@case(interfaces=ENGINE)
def case_properties_flags(pf: Pf) -> None:
    """Spoof check and trust, on and off."""
    two(pf)
    for spoofchk, trust in ((True, True), (False, True), (True, False), (False, False)):
        found = settled(pf, {"ids": "all", "spoofchk": spoofchk, "trust": trust})
        have = [(found[i]["spoofchk"], found[i]["trust"]) for i in (0, 1)]
        require(have == [(spoofchk, trust)] * 2, f"spoof check and trust are {have}")


@case(interfaces=ENGINE)
def case_properties_rates(pf: Pf) -> None:
    """A maximum rate with the link up; otherwise the driver's EINVAL.

    A minimum rate is refused.
    """
    two(pf)
    spec = {"ids": 1, "max_tx_rate": 100}
    try:
        found = settled(pf, spec)
    except apply.ApplyError:
        is_refused(pf, "the kernel refused max_tx_rate 100: EINVAL", spec)
    else:
        require(found[1]["rate"]["max_tx"] == 100, f"the rates are {found[1]['rate']}")
    is_refused(pf, "min_tx_rate 10", {"ids": 0, "mac": MAC, "min_tx_rate": 10})


@case(interfaces=ENGINE)
def case_properties_rate_of_a_pf_that_is_down(pf: Pf) -> None:
    """A rate, for which igb needs a link: up for that moment.

    Where no cable is, its EINVAL. The PF is down afterwards in both cases.
    """
    flags = f"{pf.path}/net/{two(pf)}/flags"
    before = "up" if int(pf.files.read(flags), 16) & 1 else "down"

    def put_back() -> None:
        declare(pf, {"link": before})

    pf.undo.append(put_back)
    declare(pf, {"link": "down"})
    spec = {"ids": 1, "max_tx_rate": 100}
    try:
        found = settled(pf, spec)
    except apply.ApplyError:
        is_refused(pf, "the kernel refused max_tx_rate 100: EINVAL", spec)
    else:
        require(found[1]["rate"]["max_tx"] == 100, f"the rates are {found[1]['rate']}")
    require(not int(pf.files.read(flags), 16) & 1, f"the flags are {pf.files.read(flags)}")


@case(interfaces=ENGINE)
def case_properties_refused_by_the_kernel(pf: Pf) -> None:
    """The first refused property named, with errno, and an undo.

    Properties set before it are undone, of other VFs too.
    """
    two(pf)
    settle(pf, {"ids": 0, "mac": "02:00:00:00:00:99", "vlan": 7}, {"ids": 1, "trust": True})
    vfs = [{"ids": 0, "mac": MAC, "trust": True}, {"ids": 1, "mac": "02:00:00:00:00:11", "link_state": "enable"}]
    is_refused(pf, "at step 'properties' of VF 1: the kernel refused link_state enable: EOPNOTSUPP", *vfs)


@case(interfaces=ENGINE)
def case_properties_refused_from_nothing(pf: Pf) -> None:
    """A refusal known only when VFs are enabled, undone.

    SR-IOV is off again afterwards.
    """
    netdev_of(pf)
    for name, value in (("link_state", "disable"), ("query_rss", True)):
        spec = {"hardware_vfs": 2, "present_vfs": "all", "vfs": [{"ids": 1, "mac": MAC, name: value}]}
        fails(apply.ApplyError, f"the kernel refused {name} {value}: EOPNOTSUPP", partial(declare, pf, spec))
        pf.is_state(0, ())


@case(interfaces=ENGINE)
def case_properties_refused_before_half_is_done(pf: Pf) -> None:
    """An unreported flag of present VFs, refused before any write."""
    netdev = two(pf)
    before = vfinfo(pf, netdev)
    spec = {"vfs": [{"ids": 0, "mac": MAC}, {"ids": 1, "query_rss": True}]}
    for check in (True, False):
        call = partial(declare, pf, spec, check=check)
        fails(errors.BadInputError, "query_rss of VFs 1 cannot be set", call)
    require(vfinfo(pf, netdev) == before, f"before {before}, afterwards {vfinfo(pf, netdev)}")


@case(interfaces=ENGINE)
def case_properties_need_a_network_interface(pf: Pf) -> None:
    """An error that names properties without a network interface.

    With one they are set.
    """
    spec: dict[str, Any] = {"hardware_vfs": 2, "vfs": [{"ids": 0, "mac": MAC, "vlan": 5}]}
    if pf.files.names(f"{pf.path}/net"):
        declare(pf, spec)
        require(vfinfo(pf, netdev_of(pf))[0]["address"] == MAC, "the MAC address was not set")
        return
    words = "mac, vlan cannot be set: it has no network interface; leave them out"
    fails(errors.BadInputError, words, partial(declare, pf, spec))
    fails(errors.BadInputError, "mtu cannot be set", partial(declare, pf, {"mtu": 2000}))
    pf.is_state(0, ())


@case(interfaces=ENGINE)
def case_properties_driver_and_back(pf: Pf) -> None:
    """A VF bound to vfio-pci, and to the default driver again.

    Whatever was set of it before.
    """
    netdev_of(pf)
    needs_vfio(pf)
    declare(pf, {"hardware_vfs": 2, "present_vfs": "all", "drivers_autoprobe": True})
    chosen = driver(pf, 1)
    settle(pf, {"ids": 1, "driver": VFIO, "mac": MAC})
    require(driver(pf, 1) == VFIO, f"VF 1 has driver {driver(pf, 1)}")
    require(driver(pf, 0) == chosen, f"VF 0 has driver {driver(pf, 0)}, not {chosen}")
    found = settled(pf, {"ids": 1, "driver": "default"})
    require(driver(pf, 1) == chosen, f"VF 1 has driver {driver(pf, 1)}, not {chosen}")
    require(found[1]["address"] == MAC, f"the MAC address of VF 1 is {found[1]['address']}")


@case(interfaces=ENGINE)
def case_properties_vectors_refused(pf: Pf) -> None:
    """No MSI-X vectors to share: the errno named, nothing written."""
    declare(pf, {"hardware_vfs": 2, "present_vfs": "all"})
    present = pf.links()
    spec: dict[str, Any] = {"vfs": [{"ids": 0, "msix_vectors": 77}], "drivers_autoprobe": True}
    for check in (True, False):
        call = partial(declare, pf, spec, check=check)
        fails(errors.BadInputError, "msix_vectors of VFs 0 cannot be set", call)
        fails(errors.BadInputError, "(EOPNOTSUPP)", call)
    pf.is_state(2, present)
    require(pf.read("sriov_drivers_autoprobe") == "0", "autoprobe was written")


@case(interfaces=ENGINE)
def case_properties_eswitch_refused(pf: Pf) -> None:
    """No eswitch of the driver, or no devlink: nothing written."""
    spec: dict[str, Any] = {"hardware_vfs": 2, "eswitch_mode": "switchdev"}
    for check in (True, False):
        call = partial(declare, pf, spec, check=check)
        fails(errors.BadInputError, "eswitch_mode cannot be set: its driver has no eswitch", call)
    pf.is_state(0, ())


@case(interfaces=ENGINE)
def case_properties_mtu_of_the_pf(pf: Pf) -> None:
    """The PF's MTU, set before VFs are enabled.

    Out of range it is refused; a failure later undoes it.
    """
    path = f"{pf.path}/net/{netdev_of(pf)}/mtu"
    before = int(pf.files.read(path))

    def put_back() -> None:
        declare(pf, {"mtu": before})

    pf.undo.append(put_back)
    settle(pf, hardware_vfs=0, mtu=before + 100)
    require(pf.files.read(path) == str(before + 100), f"the MTU is {pf.files.read(path)}")
    fails(errors.BadInputError, "mtu 65535 is out of range", partial(declare, pf, {"mtu": 65535}))
    spec = {"mtu": before + 200, "hardware_vfs": 1, "vfs": [{"ids": 0, "link_state": "enable"}]}
    fails(apply.ApplyError, BACK, partial(declare, pf, spec))
    require(pf.files.read(path) == str(before + 100), f"the MTU is {pf.files.read(path)} after the failure")


@case(interfaces=ENGINE)
def case_properties_mtu_of_a_vf(pf: Pf) -> None:
    """The MTU of a VF's own interface, which comes with its driver."""
    interface_of(pf, 0)
    settle(pf, {"ids": 0, "mtu": 1400})
    folder = f"{DEVICES}/{pf.vf(0)}/net"
    mtu = pf.files.read(f"{folder}/{pf.files.names(folder)[0]}/mtu")
    require(mtu == "1400", f"the MTU is {mtu}")
    spec = {"vfs": [{"ids": 0, "driver": VFIO, "mtu": 1500}]}
    fails(errors.BadInputError, "mtu of VF 0 cannot be set: it has no network interface", partial(declare, pf, spec))
