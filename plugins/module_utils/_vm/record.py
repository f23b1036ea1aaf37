# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a VM in the manifest of a live update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._model.properties import VfProperties


@dataclass(frozen=True)
class ManifestVf:
    """A VF that a VM owns: ``device`` are the device_add arguments that plug it again at the same place."""

    pf: str
    id: int
    address: str
    device: Mapping[str, Any]
    properties: VfProperties


@dataclass(frozen=True)
class ManifestVm:
    """A VM as it ran while arming. ``argv``: its own command line; ``restore_argv``: the one that waits for state."""

    name: str
    backend: str
    priority: int
    unit: str
    qmp: str
    argv: tuple[str, ...]
    restore_argv: tuple[str, ...]
    cwd: str
    cold_start: bool
    vfs: tuple[ManifestVf, ...]
