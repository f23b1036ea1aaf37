# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration settings of a running QEMU, for a save and after.

Others leave settings on: `mapped-ram`, `x-ignore-shared` or a mode would make a state that nobody can load.
"""

from __future__ import annotations

from typing import Any

from ..._model.errors import SriovError
from ..._system import durable
from .qmp import Qmp

FAST = 10**12
"""Bytes a second for a stopped guest.

The default of 128 MiB/s is for networks.
"""
PARAMETERS: dict[str, Any] = {
    "max-bandwidth": FAST, "mode": "normal", "tls-creds": "", "tls-hostname": "", "direct-io": False,
}  # fmt: skip
"""Parameters of a save to a file (qapi/migration.json).

Those that a QEMU lacks are left out.
"""


def set_for_save(qmp: Qmp, note: str) -> None:
    """Turn all capabilities off and set `PARAMETERS`.

    Different ones are in the file ``note`` before. A note that is there already is of an earlier try, and stays.
    """
    capabilities = {one["capability"]: one["state"] for one in qmp.execute("query-migrate-capabilities")}
    parameters = qmp.execute("query-migrate-parameters")
    before = {name: parameters[name] for name, value in PARAMETERS.items() if parameters.get(name, value) != value}
    if durable.read_json(note) is None:
        durable.write_json(note, {"on": [name for name, on in capabilities.items() if on], "parameters": before})
    qmp.execute("migrate-set-capabilities", capabilities=[_capability(name, False) for name in capabilities])
    if before:
        qmp.execute("migrate-set-parameters", **{name: PARAMETERS[name] for name in before})


def put_back(qmp: Qmp, note: str) -> None:
    """Restore the settings of a note, and remove it; nothing without one."""
    before = durable.read_json(note)
    if before is None:
        return
    try:
        qmp.execute("migrate-set-capabilities", capabilities=[_capability(name, True) for name in before["on"]])
        if before["parameters"]:
            qmp.execute("migrate-set-parameters", **before["parameters"])
    except SriovError as error:
        raise SriovError(f"the VM runs, but its migration settings are not as before ({note}): {error}") from error
    durable.remove(note)


def _capability(name: str, on: bool) -> dict[str, Any]:
    return {"capability": name, "state": on}
