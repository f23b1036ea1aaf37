"""The conformance cases on real kernels: one table of cases x kernels."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path

from ..fleet import operations, testbed
from ..kernels import evidence, many_vfs, packages, selftest
from ..kernels.base import named
from ..kernels.flavour import FLAVOURS, STANDARD
from ..machine.host import AT_WORK, Running
from ..paths import REPOSITORY, building
from ..progress import LabError, say, step
from . import case_table, jumps

FOLDER = REPOSITORY / "build" / "conformance"
SOURCES = REPOSITORY / "tests" / "conformance"
ENGINE = REPOSITORY / "plugins" / "module_utils"
KERNELS = "kernels"
"""Fleet with a host for each flavour."""
BATCH = 25
"""Number of cases in one run.

Each run ends with the check for leaks, which takes as long as some cases.
"""
SAMPLE = (
    "kept_vfs_are_adopted_by_no_scan", "kexec_keeps_vfs", "list_forms", "many_alternate_ids", "no_driver_is_enoent",
    "pf_removed_with_some_present", "race_scan_against_disable", "scan_any_order", "stock_enable_adds_every_vf",
    "stock_same_number_twice",
)  # fmt: skip
"""Cases about the kernel that each test run repeats.

All others are run when their result is not valid any more.
"""
Rows = evidence.Rows
Keep = Callable[[Rows], None]
"""Receiver of rows as soon as they are known."""


def bundle() -> bytes:
    """Archive with all that a host needs for the cases.

    Laid out as tests/conformance/run.py describes.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(SOURCES.rglob("*.py")):
            archive.add(path, path.relative_to(SOURCES))
        for path in sorted(ENGINE.rglob("*.py")):
            archive.add(path, f"kvmfleet_sriov/{path.relative_to(ENGINE)}")
        with selftest.tree() as folder:
            archive.add(folder, "selftests")
        if not (ENGINE / "__init__.py").exists():
            archive.addfile(tarfile.TarInfo("kvmfleet_sriov/__init__.py"))
    return buffer.getvalue()


@dataclass(frozen=True)
class Work:
    """Cases and jumps that a host has to run.

    ``runs``: words of `--only` for each run of run.py; ``jumps``: those for the jumps, None to make none.
    """

    runs: list[list[str]]
    jumps: list[str] | None

    def shared(self, hosts: int) -> list[Work]:
        """A part for each host of a flavour; jumps for the second."""
        if hosts == 1:
            return [self]
        return [Work(self.runs, None), Work([], self.jumps), *[Work([], None)] * (hosts - 2)]


def selection(only: list[str]) -> Work:
    """All cases, or those with one of these words in their names.

    In one run, with the check for leaks.
    """
    words = [*only, f"={evidence.LEAKS}"] if only else []
    return Work([words], words)


def standard(flavour: str) -> Work:
    """The cases about the engine, and a sample of the others.

    With those that have no valid result on a flavour, in one run.
    """
    every, engine = evidence.cases(), evidence.engine_cases()
    old = evidence.stale(flavour, packages.built(flavour).release)
    mine = [one for name, one in every.items() if name in (*SAMPLE, *old)]
    say(
        f"{flavour}: {len(engine)} cases about the engine, and {len(mine)} of {len(every)} about the kernel: "
        f"{len(old)} have no valid result of its release, the others are a sample (FRESH=1 runs all)"
    )
    runs = [*engine, *(one.name for one in mine if not one.jumps), evidence.LEAKS]
    return Work([[f"={name}" for name in runs]], [f"={one.name}" for one in mine if one.jumps] or None)


def exactly(names: Collection[str]) -> Work:
    """The cases of these names, in runs of at most `BATCH`.

    So an interrupted run loses little.
    """
    wanted = [one for one in evidence.cases().values() if one.name in names]
    exact = {jumps: [f"={one.name}" for one in wanted if one.jumps == jumps] for jumps in (False, True)}
    parts = [exact[False][start : start + BATCH] for start in range(0, len(exact[False]), BATCH)]
    return Work([[*part, f"={evidence.LEAKS}"] for part in parts], exact[True] or None)


def run_on(entry: Running, work: Work, module: Path, keep: Keep) -> Rows:
    """Run cases on one host, then its jumps; returns all rows.

    With the module for cases about thousands of VFs. Each part of the rows goes to ``keep`` as soon as it is there.
    """
    name, ssh = entry.host.flavour, entry.ssh
    folder, log = jumps.FOLDER, FOLDER / f"{entry.host.name}.log"
    pfs = " ".join(f"--pf {pf.address}" for pf in entry.host.pfs)
    ssh.run(f"rm -rf {folder} && mkdir {folder} && tar -C {folder} -xz", data=bundle())
    ssh.put(module, f"{folder}/{module.name}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows: Rows = []
    for words in work.runs:
        program = f"python3 run.py {pfs} --kernel {name} --json rows.json {selects(words)}"
        ssh.unattended(f"cd {folder} && rm -f rows.json && {program} >>run.log 2>&1")
        found: Rows = json.loads(ssh.run(f"cat {folder}/rows.json"))
        log.write_text(ssh.run(f"cat {folder}/run.log"))
        later = {one.name for one in evidence.cases().values() if one.jumps}
        keep([row for row in found if row["name"] not in later])
        rows += found
    if work.jumps is None:
        return rows
    after = jumps.run_on(entry, selects(work.jumps), keep)
    keep(after)
    if entry.pid():
        log.write_text(ssh.run(f"cat {folder}/run.log {jumps.LOG} 2>/dev/null || true"))
    return jumps.merged(rows, after)


def selects(words: list[str]) -> str:
    return " ".join(f"--only {word}" for word in words)


def rows_of(fleet: str, works: dict[str, Work], keep: Callable[[str, Rows], None]) -> Iterator[tuple[str, Rows]]:
    """Each flavour and its rows.

    On the hosts of a fleet that run a flavour, which share its work. They begin in the fleet's order, `AT_WORK` at
    once.
    """
    hosts: dict[str, list[Running]] = {}
    for entry in testbed.ready(fleet, works):
        if entry.host.flavour in works:
            hosts.setdefault(entry.host.flavour, []).append(entry)
    with building():
        modules = {name: many_vfs.build(name) for name in hosts}

    def part(entry: Running, work: Work) -> Rows:
        name = entry.host.flavour
        return run_on(entry, work, modules[name], partial(keep, name))

    with step("conformance cases on real kernels"), ThreadPoolExecutor(AT_WORK) as pool:
        running = {
            name: [pool.submit(part, entry, work) for entry, work in zip(mine, works[name].shared(len(mine)))]
            for name, mine in hosts.items()
        }
        for name, parts in running.items():
            rows = reduce(jumps.merged, [one.result() for one in parts])
            if not rows:
                raise LabError(f"no cases were run on {name}")
            yield name, rows


def conformance(only: list[str], fresh: bool) -> int:
    """Run cases on the standard kernels; 0 if they passed.

    Those with one of the words ``only``; without words `standard`, or all if ``fresh``.
    """
    operations.build(with_headers=STANDARD)
    whole = bool(only) or fresh
    return execute(KERNELS, {name: selection(only) if whole else standard(name) for name in STANDARD})


def test_kernels(base: str, flavours: list[str], only: list[str], fresh: bool) -> int:
    """Run cases on a base's flavours; 0 if they passed.

    Cases without a valid result, or all if ``fresh``.
    """
    known = [name for name, flavour in FLAVOURS.items() if flavour.recorded and flavour.base == named(base)]
    unknown = sorted(set(flavours) - set(known))
    if unknown:
        raise LabError(f"no flavour '{unknown[0]}' of base {base}; there are: {', '.join(known)}")
    works = {}
    for name in flavours or known:
        old = evidence.stale(name)
        if only or fresh:
            works[name] = selection(only)
        elif old:
            say(f"{base} {name}: {len(old)} of {len(evidence.cases())} cases to run")
            works[name] = exactly(old)
        else:
            say(f"{base} {name}: every case has a valid result (FRESH=1 runs all again)")
    return execute(KERNELS, works) if works else 0


def execute(fleet: str, works: dict[str, Work]) -> int:
    """Run cases on a fleet's kernels; 0 if they passed.

    Each result is kept as evidence, a failed case's forgotten.
    """
    tested = {name: evidence.tested(name) for name in works}
    found: dict[str, Rows] = {}
    releases: dict[str, str] = {}

    def keep(name: str, rows: Rows) -> None:
        try:
            evidence.record(name, packages.built(name).release, tested[name], rows)
        except LabError as error:
            say(str(error))

    for name, rows in rows_of(fleet, works, keep):
        found[name], releases[name] = rows, packages.built(name).release
    return case_table.report(found, releases, FOLDER)
