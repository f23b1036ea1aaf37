"""What was run on which kernels, kept in kernel/EVIDENCE.json by the contents of what was tested."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..paths import REPOSITORY
from ..progress import LabError
from . import flavour as flavours
from . import many_vfs
from .base import CONFIGS, DEFAULT, SERIES

KERNEL = REPOSITORY / "kernel"
FILE = KERNEL / "EVIDENCE.json"
CASES = REPOSITORY / "tests" / "conformance"


EACH_PATCH = "each patch"
"""The entry of `make kernel-bisect`; the others are named after flavours."""


def parts(name: str) -> dict[str, str]:
    """Checksums of what decides a result: series, configuration, and for flavours the cases and their module.

    Cases about the engine, in a folder of their own, are none of these; `make test` runs them on two flavours.
    """
    if name == EACH_PATCH:
        return {"series": _digest(sorted((SERIES / DEFAULT.series).iterdir())), "config": _digest(bisect_configs())}
    made = flavours.FLAVOURS[name]
    series = sorted((SERIES / made.series).iterdir()) if made.series else []
    configs = [CONFIGS / config for config in made.configs]
    cases = sorted(CASES.glob("*.py")) + sorted(many_vfs.SOURCES.iterdir())
    return {"series": _digest(series), "config": _digest(configs), "cases": _digest(cases)}


def bisect_configs() -> list[Path]:
    """The first file of the base's configuration, which stays as it is, and the drivers that the series touches."""
    return [CONFIGS / DEFAULT.configs[0], CONFIGS / "drivers.config"]


def _digest(files: Iterable[Path]) -> str:
    """Of names and contents, in this order."""
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def load() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text())) if FILE.exists() else {}


def record(name: str, release: str, tested: dict[str, str], rows: list[dict[str, Any]]) -> None:
    """Keep a complete run's counts; LabError for one that failed, or that left something out without a reason.

    ``tested``: what `parts` said before the run, which may have taken longer than somebody's next edit.
    """
    counts = {word: sum(row["result"] == word for row in rows) for word in ("pass", "fail", "skip")}
    if counts["fail"] or not counts["pass"] or any(row["result"] == "skip" and not row["reason"] for row in rows):
        raise LabError(f"{name}: {counts} is no evidence")
    entry = {"release": release, **tested, **counts, "day": time.strftime("%Y-%m-%d", time.gmtime())}
    FILE.write_text(json.dumps(load() | {name: entry}, indent=2, sort_keys=True) + "\n")


def check() -> int:
    """Say for each entry what is on record; 1 when something was changed since, or was never run."""
    stale = 0
    names = [*flavours.RECORDED, EACH_PATCH]
    for name in names:
        command = "make kernel-bisect" if name == EACH_PATCH else "make test-kernels"
        entry = load().get(name)
        changed = [part for part, digest in parts(name).items() if entry and entry.get(part) != digest]
        if entry is None or changed:
            stale += 1
            why = f"changed since: {', '.join(changed)}" if entry else "never run"
            print(f"evidence: {name}: {why}; run `{command}`")
        else:
            where = "run here, too" if name in flavours.STANDARD else f"not run here, `{command}` does"
            print(f"evidence: {name}: {entry['pass']} passed, {entry['skip']} skipped on {entry['day']}; {where}")
    print(f"evidence: {len(names) - stale} passed, {stale} failed", flush=True)
    return int(stale > 0)
