# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer that is none: what starts next is not known."""

from __future__ import annotations

import re

from .._model.errors import RefusedError

HASH = re.compile(r"grub\.pbkdf2\.[0-9A-Za-z.]+")
"""A password as GRUB keeps it (grub-mkpasswd-pbkdf2)."""


class UnknownBootError(RefusedError):
    """What a boot loader would start is not known.

    The error says what was read, but for hashes of passwords: it ends in logs.
    """

    def __init__(self, message: str) -> None:
        super().__init__(HASH.sub("(a password's hash)", message))
