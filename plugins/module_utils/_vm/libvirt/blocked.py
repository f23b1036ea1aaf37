# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why QEMU would not save a running domain, as it says itself.

Asked while VFs are attached, each of which is a reason until it is unplugged.
"""

from __future__ import annotations

from collections.abc import Collection

from ..._model.errors import BadInputError
from .connection import Connection

MOST = 20
ABOUT_VFIO = ("vfio", "viommu")
"""In reasons of passed-through devices (hw/vfio/migration.c), in small letters."""


def reasons(connection: Connection, uuid: str, addresses: Collection[str]) -> tuple[str, ...]:
    """What blocks a save; nothing for a domain that QEMU would save.

    But for what is about devices at ``addresses`` of the host, which are unplugged before. Raises `SriovError` for a
    QEMU that does not answer.
    """
    answer = connection.execute(uuid, {"execute": "query-migrate"})
    found = answer.get("blocked-reasons", []) if isinstance(answer, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise BadInputError(f"QEMU of domain {uuid} does not say what blocks a save: {str(answer)[:200]}")
    return tuple(one[:300] for one in found[:MOST] if not (addresses and _is_about(one, addresses)))


def _is_about(reason: str, addresses: Collection[str]) -> bool:
    return any(word in reason for word in addresses) or any(word in reason.lower() for word in ABOUT_VFIO)
