# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence of one host on the controller, read and checked.

It comes from the host: whatever is wrong with it concerns that host's part of the report alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LARGEST = 64 << 20
"""Most bytes of one file of evidence."""
LATEST = 1e11
"""Latest time in seconds since the epoch, year 5138."""
NUMBERS = ("vfs_enabled", "vfs_present_at_end")
IDS = ("used_ids", "present_ids_at_first_restore", "present_ids_at_last_restore")
TEXTS = ("kernel_before", "kernel_after", "interface", "result", "error")
EMPTY: dict[str, Any] = {
    **dict.fromkeys(TEXTS), "pfs": [], "phases": [], "vms": [], **{name: {} for name in (*NUMBERS, *IDS)},
}  # fmt: skip
"""The result of a host of which nothing is known."""


def read_json(path: Path) -> Any:  # noqa: ANN401 - as in the file
    """Contents of a file of evidence; `ValueError` names the file."""
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name} has more than {LARGEST} bytes")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from error


def checked(result: Any) -> dict[str, Any]:  # noqa: ANN401 - as in the file
    """A result.json whose members are what the report takes them for.

    `ValueError` names the first that is not.
    """
    if not isinstance(result, dict):
        raise ValueError(f"result.json holds {type(result).__name__}, no object")
    for name, empty in EMPTY.items():
        if name not in result and name != "error":
            raise ValueError(f"result.json lacks {name}")
        kinds = (str, type(None)) if empty is None else (type(empty),)
        _require(isinstance(result.get(name), kinds), name)
    for name in NUMBERS:
        _require(all(_is_number(value) for value in result[name].values()), name)
    for name in IDS:
        _require(all(isinstance(value, list) for value in result[name].values()), name)
    _require(all(isinstance(pf, str) for pf in result["pfs"]), "pfs")
    _require(all(_is_phase(phase) for phase in result["phases"]), "phases")
    _require(all(_is_vm(vm) for vm in result["vms"]), "vms")
    return {**result, "phases": [_with_clock(phase) for phase in result["phases"]]}


def _with_clock(phase: Mapping[str, Any]) -> dict[str, Any]:
    """A phase, without its end where the clock was set back."""
    end = phase.get("end")
    return {**phase, "end": None if end is not None and end < phase["start"] else end}


def seen(data: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - as in the file
    """A seen.json whose members are what the report takes them for."""
    _require(isinstance(data, dict) and all(isinstance(one, dict) for one in data.values()), "seen", "seen.json")
    for one in data.values():
        _require(set(one) == {"seen_at", "seen_by", "not_seen"} and _is_seen(one), "seen", "seen.json")
    return dict(data)


def _is_seen(vm: Mapping[str, Any]) -> bool:
    return (vm.get("seen_at") is None or _is_time(vm["seen_at"])) and all(
        isinstance(vm.get(name), (str, type(None))) for name in ("seen_by", "not_seen", "result")
    )


def _require(true: bool, name: str, file: str = "result.json") -> None:
    if not true:
        raise ValueError(f"{file} has a {name} that is none")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_time(value: Any) -> bool:  # noqa: ANN401 - as in the file
    return _is_number(value) and 0 <= value <= LATEST


def _is_phase(phase: object) -> bool:
    return (
        isinstance(phase, Mapping)
        and isinstance(phase.get("name"), str)
        and _is_time(phase.get("start"))
        and (phase.get("end") is None or _is_time(phase.get("end")))
    )


def _is_vm(vm: object) -> bool:
    return (
        isinstance(vm, Mapping)
        and isinstance(vm.get("name"), str)
        and isinstance(vm.get("vfs"), list)
        and all(isinstance(vf, str) for vf in vm["vfs"])
        and all(name in vm and (vm[name] is None or _is_time(vm[name])) for name in ("paused_at", "resumed_at"))
        and (vm.get("stopped_at") is None or _is_time(vm["stopped_at"]))
        and _is_seen(vm)
        and _are_texts(vm.get("not_compared"))
    )


def _are_texts(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(one, str) for one in value))
