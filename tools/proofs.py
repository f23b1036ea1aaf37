# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was passed, remembered by the contents of what decided it, in the cache that all checkouts share.

`KVMFLEET_FRESH` in the environment, set to anything, hides all of it; what is passed then is remembered anew.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from lab.paths import cache

KEPT = 200
"""Proofs of one name; older ones are removed."""


def folder() -> Path:
    return cache() / "stages"


def fresh() -> bool:
    """Whether nothing shall be skipped."""
    return bool(os.environ.get("KVMFLEET_FRESH"))


def find(name: str, key: str) -> dict[str, Any] | None:
    """What was kept for that name and key, with its ``time``; None for nothing, or when nothing shall be skipped."""
    try:
        return None if fresh() else dict(json.loads(_path(name, key).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def keep(name: str, key: str, **what: object) -> None:
    """Remember, whole or not at all."""
    path = _path(name, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps({**what, "time": time.time()}), encoding="utf-8")
    new.replace(path)
    for old in sorted(path.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)


def all_of(name: str) -> list[dict[str, Any]]:
    """Everything that is kept for a name, the newest last."""
    paths = sorted((folder() / name).glob("*.json"), key=lambda one: one.stat().st_mtime)
    found = [find(name, path.stem) for path in paths]
    return [one for one in found if one is not None]


def day(proof: dict[str, Any]) -> str:
    """When something was proven, for people: in UTC, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(proof["time"]))


def _path(name: str, key: str) -> Path:
    return folder() / name / f"{key}.json"
