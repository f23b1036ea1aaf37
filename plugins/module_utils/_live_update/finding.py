# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A finding of the preflight."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A refusal or a warning.

    ``code`` for programs, ``problem`` and ``fix`` for people. ``about``: names of what it concerns, by which a warning
    about what is refused already is left out.
    """

    code: str
    problem: str
    fix: str
    about: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, str]:
        return {"code": self.code, "problem": self.problem, "fix": self.fix}

    def __str__(self) -> str:
        return f"{self.problem}: {self.fix}"
