# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged files of a live update, which stop no way out.

What may be done with a VM follows from its claim and the manifest, of which each VM has a copy; status, result and
reservation only tell of the whole. One that cannot be read is kept aside under a name that is said, and the way out
goes on without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from .._model.errors import SriovError
from .._system import durable
from .._system.update_folder import MANIFEST, RESERVATION, RESULT, STATUS, UNKNOWN
from . import manifest_copies, manifest_file, reservation, status
from .machine import LiveHost


def mend(host: LiveHost) -> None:
    """Keep damaged files aside; call it under the lock of acts.

    A manifest without a status is of an update in an unknown phase, and so is one whose status is damaged.
    """
    for name, error in found(host).items():
        _put_aside(host, name, error)
    manifest_copies.mend(host)
    if not os.path.lexists(_path(host, STATUS)) and os.path.lexists(_path(host, MANIFEST)):
        _store_unknown(host)


def found(host: LiveHost) -> dict[str, SriovError]:
    """Damaged files, with what is wrong."""
    reads: dict[str, Callable[[], object]] = {
        RESERVATION: lambda: reservation.load(host.folder), RESULT: lambda: status.read_result(host.folder),
        STATUS: host.folder.read_status,
    }  # fmt: skip
    wrong = {}
    for name, read in reads.items():
        try:
            read()
        except SriovError as error:
            wrong[name] = error
    return wrong


def _put_aside(host: LiveHost, name: str, error: SriovError) -> None:
    try:
        host.log(f"{error}; it is kept as {durable.set_aside(_path(host, name))}, and the claims of VMs decide")
    except SriovError as stuck:
        host.log(f"{error}; {stuck}")


def _path(host: LiveHost, name: str) -> str:
    return os.path.join(host.folder.path, name)


def _store_unknown(host: LiveHost) -> None:
    """Write a status that says no more than what is known."""
    try:
        manifest = manifest_file.load(host.folder.path)
    except SriovError:
        manifest = None  # whoever needs it says what is wrong with it
    name, boot_id = (manifest.id, manifest.boot_id) if manifest else ("", "")
    try:
        status.write_status(host.folder, name, UNKNOWN, boot_id, host.now(), "its status was damaged or missing")
    except SriovError as error:
        host.log(str(error))
