# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer that is none: what starts next is not known."""

from __future__ import annotations

from .._model.errors import RefusedError


class UnknownBootError(RefusedError):
    """What a boot loader would start is not known.

    The error says what was read.
    """
