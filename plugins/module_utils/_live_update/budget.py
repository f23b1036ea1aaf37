# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The budget of an outage, against its estimate. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .estimate import to_shorten
from .facts import Facts
from .finding import Finding


def check(facts: Facts, guess: Mapping[str, float], budget_s: float) -> Iterator[Finding]:
    """Find an outage above the budget, by its estimate."""
    if guess["total"] <= budget_s:
        return
    worst = sorted((name for name in guess if name not in ("total", "pause")), key=lambda name: -guess[name])[:3]
    parts = ", ".join(f"{name} {guess[name]:g} s" for name in worst)
    active = sum(1 for pf in facts.pfs.values() if pf.enabled)
    waits = active and not facts.kernel.keeps_vfs
    lacks = f"; {active} PFs x 1 s: the new kernel does not keep VFs enabled over kexec" if waits else ""
    shorter = to_shorten(facts, guess)
    yield Finding(
        "budget",
        f"the outage is estimated at {guess['total']:g} s, {guess['pause']:g} s of them stopped, the budget is "
        f"{budget_s:g} s (mostly {parts}{lacks})",
        f"raise live_update_budget_s, or lower what it is made of{f'. {shorter}' if shorter else ''}",
    )
