# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the registry has of this folder."""

from __future__ import annotations

from ..backend import BackendClass
from .backend import LibvirtBackend

CLASSES: tuple[BackendClass, ...] = (LibvirtBackend,)
