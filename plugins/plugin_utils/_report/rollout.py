# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollout of a live update: which hosts take part, in which batches.

Made of what each host says after its preflight (``live_update_verdict``), so it counts hosts and settings wherever they
were set. What cannot be followed raises `ValueError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from . import estimate

SAME = {
    "serial": "live_update_serial", "on_refused": "live_update_on_refused",
    "on_unreachable": "live_update_on_unreachable", "report_dir": "live_update_report_dir",
    "hosts": "live_update_hosts",
}  # fmt: skip
"""Settings of a run, which must not differ between its hosts."""
LEAVE_OUT = ("refused", "unreachable")
POLICIES = ("stop", "skip")
SHOWN = 5
"""Most hosts that one sentence names."""


def rollout(
    names: Sequence[str], facts: Mapping[str, Any], budget_s: float, meant: Iterable[str] | None = None
) -> dict[str, Any]:
    """Rollout for the hosts ``names``, in their order.

    ``meant``: those that ``live_update_hosts`` matches, as the hosts themselves see it; all by default.

    ``batches`` are lists of hosts, ``sizes`` what divides all of ``names`` so; ``stopped`` says why no host may be
    touched, and is empty otherwise. ``hosts`` has result and error of every host as they are now; ``lines`` predict
    what will be done.
    """
    seen = {name: dict(facts[name]["live_update_verdict"]) for name in names}
    settings = {member: _one(seen, member) for member in SAME}
    _require_meant(names, names if meant is None else meant)
    policies = {kind: _policy(settings[f"on_{kind}"], f"live_update_on_{kind}") for kind in LEAVE_OUT}
    stopped = "; ".join(
        f"{' '.join(_some([name for name in names if seen[name]['result'] == kind]))} {kind}, "
        f"and {SAME[f'on_{kind}']} is stop"
        for kind in LEAVE_OUT
        if policies[kind] == "stop" and any(one["result"] == kind for one in seen.values())
    )
    ramp = serial(settings["serial"])
    found = predicted_batches([name for name in names if seen[name]["result"] == "not begun"], ramp)
    lines = [line for number, batch in enumerate(found, 1) for line in _batch_lines(number, batch, seen, budget_s)]
    lines += [_left_line(name, one) for name, one in seen.items() if one["result"] != "not begun"]
    return {
        "batches": [] if stopped else found,
        "sizes": [] if stopped else sizes(names, found),
        "stopped": stopped,
        "hosts": {name: {"result": one["result"], "error": one["error"]} for name, one in seen.items()},
        "lines": lines,
    }


def serial(value: object) -> list[int | str]:
    """``live_update_serial`` as numbers and per cent.

    A text may be a list as well, ``1,100%`` or ``[1, "100%"]``, as extra variables without JSON are texts.
    """
    if isinstance(value, str):
        value = yaml.safe_load(value) if value.lstrip().startswith("[") else value.split(",")
    ramp = [value] if isinstance(value, int) else value
    if not isinstance(ramp, Sequence) or not ramp or not all(_is_size(one) for one in ramp):
        shown = json.dumps(value, default=str)
        raise ValueError(
            f"live_update_serial is {shown}: give numbers of hosts or per cent, such as [1, '100%']; 0 is all hosts"
        )
    return [one if isinstance(one, int) else one.strip() for one in ramp]


def _is_size(one: object) -> bool:
    if isinstance(one, str):
        return re.fullmatch(r"\s*(\d{1,9}|(\d{1,2}(\.\d+)?|100)\s*%)\s*", one, re.ASCII) is not None
    return isinstance(one, int) and not isinstance(one, bool) and one >= 0


def _one(seen: Mapping[str, Mapping[str, Any]], member: str) -> Any:  # noqa: ANN401 - as in the inventory
    """The one value that all hosts have."""
    first, *others = seen
    for name in others:
        if seen[name][member] != seen[first][member]:
            both = " and ".join(f"{json.dumps(seen[one][member], default=str)} of {one}" for one in (first, name))
            raise ValueError(
                f"{SAME[member]} is one setting of the whole run, and is {both}: set it for all of them, or with -e"
            )
    return seen[first][member]


def _require_meant(names: Sequence[str], meant: Iterable[str]) -> None:
    """Require that each host is one of ``live_update_hosts``.

    A play sees that variable only as an extra one, and takes all hosts without it.
    """
    wanted = set(meant)
    strays = [name for name in names if name not in wanted]
    if strays:
        raise ValueError(
            f"live_update_hosts in the inventory leaves out {_some(strays)[0]}, of this run: a playbook chooses its "
            "hosts before it reads their variables; give it with -e, or use --limit"
        )


def _policy(value: object, name: str) -> object:
    if value not in POLICIES:
        raise ValueError(f"{name} is {json.dumps(value, default=str)}: it is one of {', '.join(POLICIES)}")
    return value


def _some(names: Sequence[str]) -> tuple[str, str]:
    """(the first of them, the verb that follows)."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}", "is" if len(names) == 1 else "are"


def predicted_batches(names: Sequence[str], ramp: Sequence[int | str]) -> list[list[str]]:
    """Batches as Ansible divides ``names`` (playbook_executor.py).

    The last number of ``ramp`` repeats.
    """
    left, found = list(names), list[list[str]]()
    while left:
        size = _size(ramp[min(len(found), len(ramp) - 1)], len(names))
        found.append(left[:size])
        left = left[size:]
    return found


def sizes(names: Sequence[str], found: Sequence[Sequence[str]]) -> list[int]:
    """Sizes that divide all ``names`` so that each part has one batch.

    A host that is in no batch does nothing, and stands in the part where it comes by its order.
    """
    ends = {batch[-1] for batch in found[:-1]}
    parts = [0] if found else []
    for name in names if found else ():
        parts[-1] += 1
        if name in ends:
            parts.append(0)
    return parts


def _size(number: int | str, total: int) -> int:
    """Number of hosts of a batch.

    ``20%`` is at least one, 0 is all.
    """
    if isinstance(number, str) and number.endswith("%"):
        return max(1, int(float(number[:-1]) / 100 * total))
    return int(number) or total


def _batch_lines(
    number: int, batch: Sequence[str], seen: Mapping[str, Mapping[str, Any]], budget_s: float
) -> list[str]:
    lines = [f"batch {number}: {', '.join(batch)}"]
    for name in batch:
        if seen[name]["under_way"]:
            lines.append(f"  {name}: its update was begun before, it is waited for")
        else:
            seconds = float(seen[name]["predicted_s"])
            rests = estimate.basis(seen[name].get("basis"))
            lines.append(
                f"  {name}: outage of about {seconds:g} s expected{rests}, the budget is {float(budget_s):g} s"
            )
            lines += [f"    {line}" for line in estimate.of_vms(seen[name].get("vms"))]
    return lines


def _left_line(name: str, one: Mapping[str, Any]) -> str:
    if one["result"] == "nothing to do":
        return f"{name}: runs the kernel already, nothing to do"
    return f"{name}: {one['result']}: {one['error']}"
