# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Journal of runs: what a run takes away for a while.

Where a run does not come to its end, the next one gives it back. The journal is written to /run before the first write
of such a plan, and deleted when the PF is as declared, or as before.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .._model import vf_ids
from .._model.errors import BadInputError, KernelError
from .._model.journal_entry import JournalEntry
from .._model.paths import UNFINISHED
from .._model.properties import VfProperties
from .._system import durable
from .._system.sysfs import Sysfs

if TYPE_CHECKING:
    from .._model.state import PfState


def note(sysfs: Sysfs, address: str, unfinished: JournalEntry | None) -> None:
    """Write the entry of a PF; delete it where nothing is unfinished."""
    path = sysfs.real(f"{UNFINISHED}/{address}")
    if not unfinished:
        _delete(path, address)
        return
    durable.make_folder(os.path.dirname(path))
    durable.write_text(path, json.dumps(unfinished.to_dict()), 0o644)


def _delete(path: str, address: str) -> None:
    try:
        with contextlib.suppress(FileNotFoundError):  # an operator may have deleted it
            os.unlink(path)
    except OSError as error:
        raise KernelError("delete", f"{UNFINISHED}/{address}", error.errno or 0) from error


def known(sysfs: Sysfs, states: Mapping[str, PfState]) -> dict[str, PfState]:
    """``states`` with the journal entries of unfinished runs.

    Raises `BadInputError` for a file that is no entry.
    """
    found = {name: _read(sysfs, name) for name in sysfs.names(UNFINISHED) if name in states}
    return {
        **states,
        **{address: states[address]._replace(unfinished=entry) for address, entry in found.items()},
    }


def _read(sysfs: Sysfs, address: str) -> JournalEntry | None:
    """Read an entry; None when its run has ended just now."""
    path = f"{UNFINISHED}/{address}"
    try:
        text = sysfs.read(path)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
        return None
    try:
        data = json.loads(text)
        return JournalEntry(
            data["enabled"],
            None if data["present"] is None else _ids(data["present"]),
            data["autoprobe"],
            {int(vf_id): driver for vf_id, driver in data["drivers"].items()},
            {int(vf_id): VfProperties(**given) for vf_id, given in data["properties"].items()},
            {int(vf_id): (driver, override) for vf_id, (driver, override) in data["rebound"].items()},
            _ids(data["probed"]),
            data.get("link"),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadInputError(f"{path} is no note of an interrupted run ({error!r}): delete it") from error


def _ids(text: str) -> frozenset[int]:
    return vf_ids.parse(text, vf_ids.MAX_VFS)
