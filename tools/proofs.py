# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proofs of what has passed, in the cache of all checkouts.

A proof is kept by the contents of what decided it. `KVMFLEET_FRESH` in the environment, set to anything, hides all of
them; what passes then is kept anew.
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
    """Whether every stage must run, whatever is proven."""
    return bool(os.environ.get("KVMFLEET_FRESH"))


def find(name: str, key: str) -> dict[str, Any] | None:
    """The proof of that name and key, with its ``time``.

    None where there is none, or when every stage must run.
    """
    try:
        return None if fresh() else dict(json.loads(_path(name, key).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def keep(name: str, key: str, **what: object) -> None:
    """Keep a proof, whole or not at all."""
    path = _path(name, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps({**what, "time": time.time()}), encoding="utf-8")
    new.replace(path)
    for old in sorted(path.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)


def all_of(name: str) -> list[dict[str, Any]]:
    """All proofs of a name, the newest last."""
    paths = sorted((folder() / name).glob("*.json"), key=lambda one: one.stat().st_mtime)
    found = [find(name, path.stem) for path in paths]
    return [one for one in found if one is not None]


def day(proof: dict[str, Any]) -> str:
    """The time of a proof for people: in UTC, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(proof["time"]))


def _path(name: str, key: str) -> Path:
    return folder() / name / f"{key}.json"
