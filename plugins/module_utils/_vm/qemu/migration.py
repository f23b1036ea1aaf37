# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration of a running QEMU: its settings, and its end.

Others leave settings on: `mapped-ram`, `x-ignore-shared` or a mode would make a state that nobody can load.
"""

from __future__ import annotations

import time
from typing import Any, Callable

from ..._model.deadlines import MONITOR_PAUSE_S
from ..._model.errors import BadInputError, DeadlineError, SriovError
from ..._model.values import shown
from ..._system import durable
from .qmp import Message, Qmp, words_of
from .state_form import STREAM, StateForm, capabilities

NOTE = ".settings"
"""End of the name of a note with the settings before."""
FAST = 10**12
"""Bytes a second for a stopped guest.

The default of 128 MiB/s is for networks.
"""
PARAMETERS: dict[str, Any] = {
    "max-bandwidth": FAST, "mode": "normal", "tls-creds": "", "tls-hostname": "", "multifd-compression": "none",
    "zero-page-detection": "multifd", "downtime-limit": 1, "avail-switchover-bandwidth": 1000,
}  # fmt: skip
"""Parameters of a save to a file (qapi/migration.json).

Those that a QEMU lacks are left out. By the last two QEMU never takes the rest for small enough to stop the guest for
it: it is stopped when all VMs are copied.
"""
LATE, PAUSE = "late-block-activate", "pause-before-switchover"
WAITS = "pre-switchover"
"""Status of a migration that waits to be continued, by `PAUSE`.

The guest stands still, and its images are its own. QEMU releases them, and their locks, when it goes on. So whoever
opens one sees that it is in use until then.
"""
MIGRATING = ("active", "setup", "device", WAITS)
ENDING = ("cancelling", "failing")
"""Status of a migration that is being given up.

The first also of a QEMU that ends (migration_shutdown in migration/migration.c).
The second comes with QEMU 11 (qapi/migration.json).
"""
HELD = 10
"""Bytes a second of a migration that is held.

0 would be no limit.
"""
FINAL = ("completed", "failed", "cancelled")
"""Statuses that no migration leaves."""


def set_for_save(qmp: Qmp, note: str, form: StateForm = STREAM) -> None:
    """Set all capabilities and parameters for a form, others off.

    Different ones are in the file ``note`` before. A note that is there already is of an earlier try, and stays.
    """
    have, parameters = capabilities(qmp), qmp.execute("query-migrate-parameters")
    wanted = {**PARAMETERS, **form.parameters()}
    before = {name: parameters[name] for name, value in wanted.items() if parameters.get(name, value) != value}
    if durable.read_json(note) is None:
        durable.write_json(note, {"on": [name for name, on in have.items() if on], "parameters": before})
    _set(qmp, have, form, *([PAUSE] if form.live and PAUSE in have else []))
    if before:
        qmp.execute("migrate-set-parameters", **{name: wanted[name] for name in before})


def set_for_load(qmp: Qmp, form: StateForm) -> None:
    """Set what a QEMU needs to load a state.

    Its images stay inactive until the guest runs, so that they can be compared until then: QEMU 10.0 does so by itself,
    older ones where `LATE` is on. Raises `SriovError` when it lacks something.
    """
    form.require(qmp)
    _set(qmp, capabilities(qmp), form, LATE)
    parameters, wanted = qmp.execute("query-migrate-parameters"), form.parameters()
    different = {name: value for name, value in wanted.items() if parameters.get(name, value) != value}
    if different:
        qmp.execute("migrate-set-parameters", **different)


def now(qmp: Qmp) -> StateForm:
    """The form that is set now."""
    on = tuple(name for name, state in capabilities(qmp).items() if state and name != PAUSE)
    parameters = qmp.execute("query-migrate-parameters")
    channels = int(parameters.get("multifd-channels", 0)) if "multifd" in on else 0
    return StateForm.parse(
        {"capabilities": sorted(on), "channels": channels, "direct": parameters.get("direct-io", False)},
        f"QEMU {qmp.pid}",
    )


def put_back(qmp: Qmp, note: str) -> None:
    """Restore the settings of a note, and remove it; nothing without one."""
    try:
        before = durable.read_json(note)
        if before is None:
            return
        if not isinstance(before.get("on"), list) or not isinstance(before.get("parameters"), dict):
            raise BadInputError(f"{note} has no settings")
    except SriovError as error:
        durable.set_aside(note)
        raise SriovError(f"the VM runs, but how its migration settings were is not known: {error}") from error
    try:
        names = capabilities(qmp)
        qmp.execute("migrate-set-capabilities", capabilities=[_one(name, name in before["on"]) for name in names])
        if before["parameters"]:
            qmp.execute("migrate-set-parameters", **before["parameters"])
    except SriovError as error:
        raise SriovError(f"the VM runs, but its migration settings are not as before ({note}): {error}") from error
    durable.remove(note)


def poll(
    qmp: Qmp, timeout: float, sleep: Callable[[float], None] = time.sleep, interval: float = MONITOR_PAUSE_S
) -> Message:
    """Wait for a migration's end; returns the last answer of ``query-migrate``.

    One that waits is continued. ``migrate`` answers OK and fails later. Raises `SriovError` with QEMU's own text when
    it failed or was cancelled, `DeadlineError` after ``timeout`` seconds.
    """
    until, waited = time.monotonic() + timeout, False
    while True:
        answer = qmp.execute("query-migrate")
        if not isinstance(answer, dict):
            raise SriovError(f"QEMU answers query-migrate with {shown(answer)}, no object")
        status = answer.get("status", "none")
        if status == "completed":
            return dict(answer)
        if status in FINAL:
            raise SriovError(f"migration {status}: {words_of(answer.get('error-desc', 'QEMU gives no reason'))}")
        if status == WAITS and not waited:
            qmp.execute("migrate-continue", state=WAITS)
            waited = True
        if time.monotonic() >= until:
            raise DeadlineError(f"migration still {words_of(status)} after {timeout:g} s")
        sleep(interval)


def _set(qmp: Qmp, have: dict[str, bool], form: StateForm, *more: str) -> None:
    """Set all capabilities at once, as QEMU judges their combination."""
    on = {*form.capabilities, *more}
    qmp.execute("migrate-set-capabilities", capabilities=[_one(name, name in on) for name in have])


def _one(name: str, on: bool) -> dict[str, Any]:
    return {"capability": name, "state": on}
