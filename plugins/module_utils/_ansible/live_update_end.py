# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a live update, which is forgotten."""

from __future__ import annotations

from typing import Any

from .._live_update import arm, kept_states, options, reservation, way_out
from .._live_update.machine import LiveHost
from .._live_update.reservation import Reservation
from .._model.errors import BadInputError, RefusedError
from .._system import update_folder
from .module import Module

ALL = "all"
"""In place of VMs' names: every one."""


def acknowledged(module: Module, host: LiveHost) -> dict[str, Any]:
    """Forget an update that has ended."""
    status, given_up, stay_reserved = host.folder.read_status(), _given_up(module, host), module.params["stay_reserved"]
    if status is None:
        return {"changed": False}
    if status["phase"] not in update_folder.FINAL:
        raise RefusedError(f"the live update is in phase {status['phase']}: it can be acknowledged when it has ended")
    kept_states.require_none(host, given_up)
    if not module.check_mode:
        if stay_reserved:
            _reserve_anew(module, host, status["manifest"])
        way_out.forget(host, given_up, stay_reserved)
    return {"changed": True, "phase": None, "manifest_id": status["manifest"]}


def cancelled(module: Module, host: LiveHost) -> dict[str, Any]:
    """Forget an update that has not begun, or a reservation alone."""
    if not module.check_mode:
        return {"changed": arm.cancel(host)}
    status = host.folder.read_status()
    reserved = status is None and reservation.load(host.folder) is not None
    return {"changed": reserved or (status is not None and status["phase"] == update_folder.ARMED)}


def _given_up(module: Module, host: LiveHost) -> list[str]:
    """Names of VMs whose memory is given up: those that were named.

    All of them only where that was said.
    """
    names, force = module.params["discard_memory"], module.params["force"]
    if force and not names:
        raise BadInputError(
            "force gives up the memory of VMs and must say of which: name them in discard_memory, or all of them with "
            f"discard_memory: [{ALL}]; saved and not running: {', '.join(kept_states.needed(host)) or 'none'}"
        )
    if ALL in names and not (force and names == [ALL]):
        raise BadInputError(f"discard_memory: '{ALL}' stands alone, and needs force: true, as it means every VM")
    return kept_states.needed(host) if ALL in names else list(names)


def _reserve_anew(module: Module, host: LiveHost, manifest: str) -> None:
    """Reserve the host for what follows, before anything is forgotten."""
    now = host.now()
    until = now + options.parse(module.params["options"]).reserve_s
    reservation.store(host.folder, Reservation(module.params["owner"], manifest, now, until))
