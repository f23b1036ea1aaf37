"""Results of cases on kernels, kept in kernel/EVIDENCE.json.

A result is valid as long as the contents that decided it are the same.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..paths import REPOSITORY
from ..progress import LabError
from . import flavour as flavours
from . import many_vfs, patches
from .base import BASES, CONFIGS, SERIES
from .cases import Source, sources
from .record import changed, contents, load, today

CASES = REPOSITORY / "tests" / "conformance"
PF_DRIVERS = ("igb", "nvme")
"""Drivers of PFs that each case has results on."""
MANY_DRIVERS = (many_vfs.SOURCES.name,)
"""The same for cases about thousands of VFs."""
CARRIED = "carried"
"""Result from a run that was recorded as a whole.

It did not fail. The kernel's entry names that run.
"""
LEAKS = "no_leaks"
"""Row of the check after a run of cases.

When it failed, nothing is recorded of that run.
"""
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Tested:
    """Checksums of the contents that decide a flavour's results.

    Series, configuration, and each case's text by its name.
    """

    series: str
    config: str
    cases: dict[str, str]

    def kernel(self, release: str) -> tuple[str, dict[str, str]]:
        """Name of this kernel in entries, and its facts."""
        known = {"config": self.config, "release": release, "series": self.series}
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:8], known


def cases() -> dict[str, Source]:
    """All cases and jumps of the record.

    Cases about the engine are in a folder of their own, and none of them.
    """
    return _cases(CASES, tuple((path, path.stat().st_mtime_ns) for path in sorted(CASES.glob("*.py"))))


def engine_cases() -> list[str]:
    """Names of the cases about the engine, in their order."""
    return list(sources(CASES / "engine"))


@functools.lru_cache(maxsize=1)
def _cases(folder: Path, _files: tuple[tuple[Path, int], ...]) -> dict[str, Source]:
    return sources(folder)


def tested(flavour: str) -> Tested:
    """Checksums of a flavour as it is in the checkout.

    Take them before a run: somebody may edit during it.
    """
    made = flavours.FLAVOURS[flavour]
    series = sorted((SERIES / made.series).iterdir()) if made.series else []
    module = _digest(sorted(many_vfs.SOURCES.iterdir()))
    texts = {one.name: one.digest + (f"+{module[:6]}" if one.many else "") for one in cases().values()}
    return Tested(_digest(series), contents(CONFIGS / config for config in made.configs), texts)


def _digest(files: Iterable[Path]) -> str:
    """Checksum of names and contents, in this order."""
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def record(flavour: str, release: str, what: Tested, rows: Rows) -> None:
    """Record the results of cases that were run on a flavour.

    Results of cases that failed are forgotten. ``what``: from `tested` before the run. An entry with the same results
    keeps its day. Raises LabError for cases that failed, or were skipped without a reason; after a failed check for
    leaks all of them have failed.
    """
    leaking = any(row["name"] == LEAKS and row["result"] == "fail" for row in rows)
    bad = sorted({row["name"] for row in rows if leaking or row["result"] == "fail" or _unexplained(row)})
    name, kernel = what.kernel(release)
    with changed() as known:
        entry = known.setdefault(base_of(flavour), {}).setdefault(flavour, {"cases": {}, "kernels": {}})
        entry["kernels"][name] = {**entry["kernels"].get(name, {}), **kernel}
        for case in {row["name"] for row in rows} & what.cases.keys():
            found = {row["driver"]: row["result"] for row in rows if row["name"] == case}
            if case in bad:
                entry["cases"].pop(case, None)
            else:
                entry["cases"][case] = _merged(entry["cases"].get(case), what.cases[case], name, found)
        used = {one["kernel"] for one in entry["cases"].values()}
        entry["kernels"] = {one: known for one, known in entry["kernels"].items() if one in used}
    if bad:
        raise LabError(f"{flavour}: {', '.join(bad)}: no evidence")


def _unexplained(row: dict[str, Any]) -> bool:
    return row["result"] == "skip" and not row["reason"]


def _merged(entry: dict[str, str] | None, case: str, kernel: str, found: dict[str, str]) -> dict[str, str]:
    """An entry with results of more PF drivers.

    A new one if the case or the kernel is another one.
    """
    now = {"case": case, "kernel": kernel}
    same = entry is not None and now.items() <= entry.items()
    if same and entry is not None and found.items() <= entry.items():
        return entry
    return {**(entry or {} if same else {}), **now, **found, "day": today()}


def base_of(flavour: str) -> str:
    """Name of a flavour's base, below which its results are."""
    return flavours.FLAVOURS[flavour].base.name


def stale(flavour: str, release: str | None = None) -> dict[str, str]:
    """Cases without a valid result on a flavour, each with the reason.

    With ``release``, a result of another one is not valid either: Debian's archive may have moved since, and the series
    still fit.
    """
    what, entry = tested(flavour), load().get(base_of(flavour), {}).get(flavour, {"cases": {}, "kernels": {}})
    every = cases()
    reasons = {name: _why(entry, what, every[name], release) for name in what.cases}
    return {name: why for name, why in reasons.items() if why}


def _why(entry: dict[str, Any], what: Tested, case: Source, release: str | None) -> str:
    """Reason why a case's entry is not valid; empty if it is."""
    found = entry["cases"].get(case.name)
    if found is None:
        return "no result"
    kernel = entry["kernels"].get(found["kernel"], {})
    now = {"series": what.series, "config": what.config, "case": what.cases[case.name]}
    other = [part for part, digest in now.items() if (found if part == "case" else kernel).get(part) != digest]
    missing = [driver for driver in (MANY_DRIVERS if case.many else PF_DRIVERS) if driver not in found]
    if other:
        return f"changed since: {', '.join(other)}"
    if missing:
        return f"not run on {', '.join(missing)}"
    return "" if release in (None, kernel["release"]) else f"result of {kernel['release']}"


def counts(flavour: str) -> dict[str, int]:
    """Numbers of results by kind, for cases that still exist."""
    known, there = load().get(base_of(flavour), {}).get(flavour, {}).get("cases", {}), cases()
    found = [value for name, one in known.items() if name in there for value in one.values()]
    return {word: found.count(word) for word in ("pass", "skip", CARRIED)}


def check() -> int:
    """Print each flavour's record; 1 when any is stale.

    Stale is a flavour with a case that was changed since, or was never run.
    """
    bad = [_say(flavour) for flavour in flavours.RECORDED]
    bad += [patches.say(base) for base in BASES.values() if base.series]
    print(f"evidence: {len(bad) - sum(bad)} passed, {sum(bad)} failed", flush=True)
    return int(any(bad))


def _say(flavour: str) -> bool:
    """Print the line of a flavour; whether its record is stale."""
    base, old, found = base_of(flavour), stale(flavour), counts(flavour)
    command = f"make test-kernels BASE={base} FLAVOUR={flavour}"
    if old:
        reasons = sorted(set(old.values()))
        which = "; ".join(f"{why}: {listed([name for name in old if old[name] == why])}" for why in reasons)
        print(f"evidence: {base} {flavour}: {len(old)} of {len(cases())} cases: {which}; run `{command}`")
    elif not (found["pass"] or found[CARRIED]):
        print(f"evidence: {base} {flavour}: no case was passed, all were skipped; run `{command} FRESH=1`")
    else:
        days = sorted({one["day"] for one in load()[base][flavour]["cases"].values()})
        what = "only a sample of them is run here" if flavour in flavours.STANDARD else "not run here"
        when = " to ".join(dict.fromkeys((days[0], days[-1])))
        print(
            f"evidence: {base} {flavour}: {found['pass']} passed, {found['skip']} skipped on {when}; {what}, "
            f"`{command} FRESH=1` runs them"
        )
        for text in carried(flavour):
            print(f"evidence: {base} {flavour}: {found[CARRIED]} results {text}")
    return bool(old) or not (found["pass"] or found[CARRIED])


def carried(flavour: str) -> list[str]:
    """Origins of a flavour's carried results."""
    kernels = load().get(base_of(flavour), {}).get(flavour, {}).get("kernels", {})
    return [text for one in kernels.values() if (text := one.get(CARRIED))]


def listed(names: Collection[str]) -> str:
    """Some names, or their number when there are many."""
    return ", ".join(sorted(names)) if len(names) <= 5 else f"{len(names)} cases"
