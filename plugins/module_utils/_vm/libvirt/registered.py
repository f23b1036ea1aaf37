# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the registry has of this folder: nothing yet.

The backend is not finished, so that hosts with libvirt are refused, and nothing else of it is sent to any host.
"""

from __future__ import annotations

from ..backend import BackendClass

CLASSES: tuple[BackendClass, ...] = ()
