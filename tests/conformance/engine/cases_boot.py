# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for the host document at boot.

A PF that has no driver yet, and one that does not exist beside one that does. Left out: real boots, the order of units
and the event that udev gets, for which there is `molecule/boot`; `tests/unit/roles/test_sriov_order.py` has systemd
check more orders.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from cases_engine import ENGINE, fails, nearest, tools
from harness import Pf, case, require, wait_for
from kvmfleet_sriov._document import document as _document
from kvmfleet_sriov._engine import converge
from kvmfleet_sriov._model import errors as _errors
from kvmfleet_sriov._sriovctl import boot_apply

NOBODY = "0000:ff:1f.7"
SPEC: dict[str, Any] = {"hardware_vfs": 2, "present_vfs": "1"}
PATIENCE_S = 60.0


def at_boot(pf: Pf, *specs: dict[str, Any], wait_s: float = PATIENCE_S, said: list[str] | None = None) -> None:
    """Apply the host document as ``sriovctl apply --boot`` does."""

    def bring(document: _document.HostDocument) -> converge.Report:
        return converge.converge(pf.files, tools(pf), document)

    heard: list[str] = [] if said is None else said
    document = _document.validate({"pfs": list(specs)})
    boot_apply.BootApply(pf.files, tools(pf), bring, lambda _report: None, heard.append).apply(document, wait_s)


def unbind(pf: Pf) -> Callable[[], None]:
    """Unbind the PF; return what binds its driver again.

    That also sets its interface up, if it was.
    """
    driver, names = pf.driver, pf.files.names(f"{pf.path}/net")
    up = bool(names) and bool(int(pf.files.read(f"{pf.path}/net/{names[0]}/flags"), 16) & 1)

    def bind() -> None:
        if not pf.driver:
            pf.files.write(f"/sys/bus/pci/drivers/{driver}/bind", pf.address)
        if up:
            wait_for(partial(set_up, pf), "the interface of the PF is up again")

    pf.files.write(f"/sys/bus/pci/drivers/{driver}/unbind", pf.address)
    pf.undo.append(bind)
    return bind


def set_up(pf: Pf) -> bool:
    """Set the interface up; False while there is none.

    False also when udev renames it meanwhile.
    """
    try:
        name = pf.files.names(f"{pf.path}/net")[0]
        tools(pf)(["ip", "link", "set", "dev", name, "up"])
    except (IndexError, _errors.ToolError):
        return False
    return True


@case(interfaces=ENGINE, real_only=True)
def case_boot_waits_for_the_driver(pf: Pf) -> None:
    """The desired state as soon as the PF has its driver.

    Without it the PF is waited for.
    """
    bind = unbind(pf)
    errors: list[_errors.SriovError] = []
    said: list[str] = []

    def apply() -> None:
        try:
            at_boot(pf, {"pf": pf.address, **SPEC}, said=said)
        except _errors.SriovError as error:
            errors.append(error)

    thread = threading.Thread(target=apply, daemon=True)
    thread.start()
    wait_for(lambda: bool(said), "it says what it waits for")
    require(f"the driver of PF {pf.address}" in said[0], f"it says {said}")
    bind()
    thread.join(PATIENCE_S)
    require(not thread.is_alive(), "it has not ended")
    require(not errors, f"it failed: {errors}")
    pf.is_state(2, nearest(pf, {1}, 2))


@case(interfaces=ENGINE, real_only=True)
def case_boot_without_the_driver_names_it(pf: Pf) -> None:
    """The name of the missing driver, after the deadline."""
    unbind(pf)
    call = partial(at_boot, pf, {"pf": pf.address, **SPEC}, wait_s=0.5)
    fails(_errors.DeadlineError, f"still missing: the driver of PF {pf.address}", call)


@case(interfaces=ENGINE)
def case_boot_missing_pf_stops_no_other(pf: Pf) -> None:
    """A missing PF named, and the other one as declared."""
    call = partial(at_boot, pf, {"pf": NOBODY, **SPEC}, {"pf": pf.address, **SPEC}, wait_s=0.0)
    fails(_errors.SriovError, f"still missing: PF {NOBODY}", call)
    pf.is_state(2, nearest(pf, {1}, 2))
