# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removal of all that a rehearsal has made, wherever it was interrupted.

Only what is certainly a rehearsal's: its own VMs, and the live update that its record names.
"""

from __future__ import annotations

import shutil
from typing import Any

from .._model.errors import RefusedError
from .._model.paths import UPDATE_PARAMETER
from .._system import update_folder
from . import reservation, run_unit, throwaway, throwaway_memory
from .machine import LiveHost
from .throwaway import Record

FIRST = "run the playbook again once it has ended, or `sriovctl live-update restore` when it stands still"


def is_under_way(host: LiveHost) -> bool:
    """Whether the live update of a rehearsal is at work."""
    record = throwaway.load(host.sysfs)
    status = host.folder.read_status() or {}
    if record is None or not _is_its(record, status):
        return False
    if status.get("phase") == update_folder.ARMED:
        return run_unit.is_active(host)
    return status.get("phase") not in update_folder.FINAL


def require_ended(host: LiveHost) -> Record:
    """Require a rehearsal whose update has ended; returns its record."""
    record, status = throwaway.load(host.sysfs), host.folder.read_status() or {}
    if record is None:
        raise RefusedError("no rehearsal was started on this host: use state: started")
    if not _is_its(record, status) or status.get("phase") not in update_folder.FINAL:
        phase = status.get("phase", "none")
        raise RefusedError(f"the rehearsal's live update has not ended (phase {phase}): {FIRST}")
    return record


def remove(host: LiveHost) -> bool:
    """End throw-away VMs, forget their update, delete files; False for nothing.

    Raises `RefusedError` while the update is at work.
    """
    if is_under_way(host):
        phase = (host.folder.read_status() or {}).get("phase")
        raise RefusedError(f"the live update of a rehearsal is in phase {phase}: {FIRST}")
    left = throwaway.is_left(host.sysfs)
    throwaway_memory.end(host)
    record = throwaway.load(host.sysfs)
    if record is not None and record.manifest:
        _forget(host, record)
    throwaway.remove_files(host.sysfs)
    return left


def _is_its(record: Record, status: dict[str, Any]) -> bool:
    return bool(record.manifest) and status.get("manifest") == record.manifest


def _forget(host: LiveHost, record: Record) -> None:
    """Forget a rehearsal's update, with the memory of its VMs."""
    image = host.kexec.image()
    if image is not None and f"{UPDATE_PARAMETER}={record.manifest}" in image.command_line.split():
        host.kexec.unload()
    reserved = reservation.load(host.folder)
    if _is_its(record, host.folder.read_status() or {}) or (reserved and reserved.manifest == record.manifest):
        for vm in record.vms:
            shutil.rmtree(host.folder.vm(vm.name), ignore_errors=True)
        host.folder.forget()
