# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converter of the current state of hosts, by the results of `sriov_info`."""

from __future__ import annotations

from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.export import export

from . import hardware
from .conversion import Converter


def from_sriov_info(pfs: object) -> dict[str, Any]:
    """Convert PFs as `sriov_info` returned them into document and notices.

    ``sriovctl export`` writes the same on the host. Raises `BadInputError` for anything else.
    """
    found = export(hardware.checked(pfs) or [])
    return {"document": found.document.to_dict(), "notices": list(found.notices)}


CONVERTER = Converter("host", from_sriov_info, of_host=True)
