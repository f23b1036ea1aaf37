# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of VFs by the controller, with those of their host."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import checks, vf_watch
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.checks import Check
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.ended import ENDED
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.update_deadlines import ATTEMPT_S

from ._report.secrecy import without_secrets

RUNS = ("restored", "cold-started", "resumed-here")
"""Results of VMs that run."""
LONGEST = 200
"""Most characters of what a program says."""
MOST_AT_ONCE = 32

Now = Callable[[], float]
"""The host's clock, in seconds since the epoch."""


def verify(vms: Sequence[Mapping[str, Any]], result: Mapping[str, Any], now: Now = time.time) -> dict[str, Any]:
    """Check the VFs of a host's VMs; returns what was seen.

    ``vms``: as in ``live_update_vms``; ``result``: of the host. Each has ``seen_by``, the check in words, ``seen_at``
    and ``not_seen``, the reason. VMs without a check are left out, and those that ended before they were saved. Raises
    `BadInputError` for a check that is none.
    """
    found = {vm["name"]: vm for vm in result["vms"]}
    wanted = {vm["name"]: checks.parse(vm.get("check"), f"live_update_vms: {vm['name']}: check") for vm in vms}
    there = {name for name, vm in found.items() if vm.get("result") != ENDED}
    work = {name: check for name, check in wanted.items() if check is not None and name in there}
    with ThreadPoolExecutor(max(1, min(len(work), MOST_AT_ONCE))) as pool:
        return dict(zip(work, pool.map(lambda name: _one(found[name], work[name], now), work)))


def lost(seen: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for each VM whose VF was not seen."""
    return [
        f"VM {name} runs, its VF was not seen to work by {one['seen_by']}: {one['not_seen']}"
        for name, one in seen.items()
        if one["seen_at"] is None
    ]


def _one(vm: Mapping[str, Any], check: Check, now: Now) -> dict[str, Any]:
    seen = {"seen_by": str(check), "seen_at": None, "not_seen": None}
    if vm.get("result") not in RUNS:
        return {**seen, "not_seen": f"it does not run, its result is {str(vm.get('result'))[:LONGEST]}"}
    if check.place == checks.HOST:
        why = vm.get("not_seen") or "its host has not looked"
        at = vm.get("seen_at")
        return {**seen, "seen_at": at, "not_seen": None if at is not None else str(why)}
    until = time.monotonic() + check.within_s
    why = vf_watch.wait(lambda: _try(check, max(ATTEMPT_S, until - time.monotonic())), check.within_s)
    return {**seen, "seen_at": now(), "not_seen": None} if why is None else {**seen, "not_seen": without_secrets(why)}


def _try(check: Check, left_s: float) -> str | None:
    if check.kind == checks.COMMAND:
        return run(check.argv, left_s)
    answer = run(["ping", "-n", "-c", "1", "-W", f"{ATTEMPT_S:g}", check.address], 10 * ATTEMPT_S)
    return None if answer is None else f"{check.address} does not answer a ping ({answer})"


def run(argv: Sequence[str], deadline_s: float) -> str | None:
    """Run a program without a shell; None when it succeeds.

    Else what it said last. Raises `OSError` when it cannot be run.
    """
    process = subprocess.Popen(
        list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        output, _none = process.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        return f"{argv[0]} did not end within {deadline_s:.1f} s"
    lines = [line for line in output[-4096:].decode("utf-8", errors="replace").splitlines() if line.strip()]
    said = "".join(letter if letter.isprintable() else "?" for letter in (lines[-1] if lines else "")[:LONGEST])
    return None if process.returncode == 0 else f"{argv[0]} ended with {process.returncode}{said and ': '}{said}"
