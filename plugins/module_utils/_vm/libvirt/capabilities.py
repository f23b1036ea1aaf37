# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration capabilities that others have left on in a domain's QEMU.

libvirt does not turn off all that it has not turned on, nor all that a failed save of its own has: the image of the
next save has another form than its header says, and no QEMU loads it (found with libvirtd 11.3).
"""

from __future__ import annotations

from ..._model.errors import BadInputError, SriovError
from .connection import Connection

LIBVIRTS = ("events",)
"""Those that libvirt itself keeps on, in every QEMU."""


def turn_off(connection: Connection, uuid: str) -> None:
    """Turn off all but libvirt's own, and see them off; raises `SriovError`.

    A QEMU with none on is only asked.
    """
    left = _on(connection, uuid)
    if not left:
        return
    rows = [{"capability": name, "state": False} for name in left]
    connection.execute(uuid, {"execute": "migrate-set-capabilities", "arguments": {"capabilities": rows}})
    left = _on(connection, uuid)
    if left:
        raise SriovError(
            f"domain {uuid}: migration capability {', '.join(left)} stays on: its image would not be loaded"
        )


def _on(connection: Connection, uuid: str) -> list[str]:
    rows = connection.execute(uuid, {"execute": "query-migrate-capabilities"})
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInputError(f"QEMU of domain {uuid} does not list its migration capabilities: {str(rows)[:200]}")
    names = [str(row.get("capability")) for row in rows if row.get("state") is True]
    return [name for name in names if name not in LIBVIRTS]
