# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for selectors: the PFs that they match.

The files of all PFs of the host are the judges. Other PFs are only read.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from cases_engine import ENGINE, declare, fails, nearest, tools
from harness import DEVICES, Pf, SkippedError, case, require
from kvmfleet_sriov._document import selector as _selector
from kvmfleet_sriov._model import errors
from kvmfleet_sriov._report import info

CLASSES = {"0x0200": "ethernet", "0x0108": "nvme"}
"""What is in the lab, by the beginning of the class code."""


def facts(pf: Pf, address: str) -> dict[str, Any]:
    """Facts that selectors may use, of any PF, by its own files."""
    folder = f"{DEVICES}/{address}"
    names = ("vendor", "device", "subsystem_vendor", "subsystem_device")
    found: dict[str, Any] = {name: pf.files.read(f"{folder}/{name}") for name in names}
    node = f"{folder}/numa_node"
    found["numa_node"] = int(pf.files.read(node)) if pf.files.exists(node) else -1
    code = pf.files.read(f"{folder}/class")
    found["class"] = CLASSES.get(code[:6], code[2:])
    found["driver"] = pf.files.link(f"{folder}/driver")
    found["netdev"] = next(iter(pf.files.names(f"{folder}/net")), None)
    return {name: value for name, value in found.items() if value is not None}


def alike(pf: Pf, wanted: dict[str, Any]) -> list[str]:
    """Addresses of all PFs of the host with these facts, in order."""
    pfs = [name for name in pf.files.names(DEVICES) if pf.files.exists(f"{DEVICES}/{name}/sriov_totalvfs")]
    return [address for address in pfs if wanted.items() <= facts(pf, address).items()]


def one_of(pf: Pf, wanted: dict[str, Any]) -> dict[str, Any]:
    """A selector for this PF by these facts.

    It has an index where other PFs have them too.
    """
    addresses = alike(pf, wanted)
    return wanted if len(addresses) == 1 else {**wanted, "index": addresses.index(pf.address)}


def selectors(pf: Pf) -> Iterator[dict[str, Any]]:
    """Selectors by each fact, by a card's facts, by all facts."""
    mine = facts(pf, pf.address)
    yield from ({name: value} for name, value in mine.items())
    yield {name: mine[name][2:] for name in ("vendor", "device")}
    yield mine


def meant(pf: Pf, selector: dict[str, Any]) -> list[str]:
    rows = info.gather(pf.files, tools(pf), [_selector.validate(selector, "pf")], properties=False)
    return [row["pf"] for row in rows]


@case(interfaces=ENGINE)
def case_selector_means_this_pf(pf: Pf) -> None:
    """Each selector of this PF's facts matches this PF.

    It has an index where other PFs have the same facts; with `all` it matches all of those.
    """
    for selector in selectors(pf):
        wanted = {
            name: _files_form(value) if name in ("vendor", "device") else value for name, value in selector.items()
        }
        one = meant(pf, {**selector, **{k: v for k, v in one_of(pf, wanted).items() if k == "index"}})
        require(one == [pf.address], f"{selector} means {one}")
        every = meant(pf, {**selector, "all": True})
        require(every == alike(pf, wanted), f"{selector} means {every}, alike are {alike(pf, wanted)}")


@case(interfaces=ENGINE)
def case_selector_declares(pf: Pf) -> None:
    """A declaration by selector, the same as one by address."""
    selector = one_of(pf, {name: facts(pf, pf.address)[name] for name in ("vendor", "device", "driver")})
    declare(pf, {"pf": selector, "hardware_vfs": 2, "present_vfs": "1"})
    pf.is_state(2, nearest(pf, {1}, 2))
    again = declare(pf, {"hardware_vfs": 2, "present_vfs": "1"})
    require(not again["changed"], f"by address it did {again['steps']}")


@case(interfaces=ENGINE)
def case_selector_that_is_not_one_pf_writes_nothing(pf: Pf) -> None:
    """No match, and an index too high: errors, nothing written.

    They name PFs of this host.
    """
    mine = {"driver": facts(pf, pf.address)["driver"]}
    bad = [
        ("is not on this host; PFs of this host: ", {"vendor": "fffe"}),
        ("so the highest index is", {**mine, "index": len(alike(pf, mine))}),
    ]
    for words, selector in bad:
        for said in (words, pf.address):
            fails(errors.BadInputError, said, partial(declare, pf, {"pf": selector, "hardware_vfs": 1}))
        pf.is_state(0, ())


@case(interfaces=ENGINE)
def case_selector_of_several_pfs_asks_which(pf: Pf) -> None:
    """An error that lists several PFs, without index or all."""
    mine = facts(pf, pf.address)
    shared = next(({name: mine[name]} for name in mine if len(alike(pf, {name: mine[name]})) > 1), None)
    if shared is None:
        raise SkippedError("needs another PF that is of the same kind, or on the same NUMA node")
    for said in ("is not one PF", *alike(pf, shared)):
        fails(errors.BadInputError, said, partial(declare, pf, {"pf": shared, "hardware_vfs": 1}))
    pf.is_state(0, ())


def _files_form(number: str) -> str:
    """A number in the form of the files, with 0x."""
    return number if number.startswith("0x") else f"0x{number}"
