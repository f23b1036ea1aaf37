"""The conformance cases on real kernels: one table of cases x kernels."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from ..fleet import testbed
from ..fleet.fleet import load
from ..kernels import evidence, many_vfs, packages, selftest
from ..kernels.flavour import FLAVOURS
from ..machine.host import Running
from ..paths import REPOSITORY
from ..progress import LabError, say, step
from . import jumps

FOLDER = REPOSITORY / "build" / "conformance"
SOURCES = REPOSITORY / "tests" / "conformance"
ENGINE = REPOSITORY / "plugins" / "module_utils"
KERNELS = "kernels"
"""The fleet that has a host for each flavour."""
MARKS = {"pass": "pass", "fail": "FAIL", "skip": "skip"}


def bundle() -> bytes:
    """What a host needs to run the cases, laid out as tests/conformance/run.py says."""
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


def run_on(entry: Running, only: list[str], module: Path) -> list[dict[str, Any]]:
    """Run the cases on one host, with the module for those about thousands of VFs, then its jumps; all rows."""
    name, ssh = entry.host.name, entry.ssh
    pfs = " ".join(f"--pf {pf.address}" for pf in entry.host.pfs)
    words = " ".join(f"--only {word}" for word in only)
    folder = jumps.FOLDER
    ssh.run(f"rm -rf {folder} && mkdir {folder} && tar -C {folder} -xz", data=bundle())
    ssh.put(module, f"{folder}/{module.name}")
    ssh.unattended(f"cd {folder} && python3 run.py {pfs} --kernel {name} --json rows.json {words} >run.log 2>&1")
    rows: list[dict[str, Any]] = json.loads(ssh.run(f"cat {folder}/rows.json"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    log = FOLDER / f"{name}.log"
    log.write_text(ssh.run(f"cat {folder}/run.log"))
    later = jumps.run_on(entry, words)
    if entry.pid():
        log.write_text(ssh.run(f"cat {folder}/run.log {jumps.LOG}"))
    return jumps.merged(rows, later)


def rows_of(fleet: str, only: list[str], flavours: list[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each flavour and the rows of all cases, as they are done, on a fleet's hosts that are named after one.

    ``flavours``: those to run, or none for all; LabError for one that has no host.
    """
    names = [entry.name for entry in load(fleet).hosts if entry.name in FLAVOURS]
    unknown = sorted(set(flavours) - set(names))
    if unknown:
        raise LabError(f"no flavour '{unknown[0]}' in fleet {fleet}; it has: {', '.join(names)}")
    hosts = [entry for entry in testbed.ready(fleet) if entry.host.name in (flavours or names)]
    modules = {entry.host.name: many_vfs.build(entry.host.name) for entry in hosts}
    with step("conformance cases on real kernels"), ThreadPoolExecutor(2) as pool:
        running = {pool.submit(run_on, entry, only, modules[entry.host.name]): entry.host.name for entry in hosts}
        for done in as_completed(running):
            rows = done.result()
            if not rows:
                raise LabError(f"no cases were run on {running[done]}")
            yield running[done], rows


def conformance(only: list[str], fleet: str = testbed.FLEET, flavours: list[str] | None = None) -> int:
    """All cases on the fleet's kernels; 0 if they passed. What is complete in fleet `KERNELS` is kept as evidence."""
    tested = {name: evidence.parts(name) for name in FLAVOURS}
    found: dict[str, list[dict[str, Any]]] = {}
    releases: dict[str, str] = {}
    worthless = False
    for name, rows in rows_of(fleet, only, flavours or []):
        found[name], releases[name] = rows, packages.built(name).release
        if fleet == KERNELS and not only:
            try:
                evidence.record(name, releases[name], tested[name], rows)
            except LabError as error:
                say(str(error))
                worthless = True
    return tell(found, releases) | worthless


def tell(found: dict[str, list[dict[str, Any]]], releases: dict[str, str]) -> int:
    """Write and print the table, then what failed; 1 if anything did, or was skipped without a reason."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "table.json").write_text(json.dumps({"kernels": releases, "rows": found}, indent=2) + "\n")
    (FOLDER / "table.md").write_text(table(found, releases))
    print(table(found, releases))
    every = [row for rows in found.values() for row in rows]
    for row in every:
        if row["result"] == "fail":
            print(f"FAIL {row['kernel']} {row['name']}: {row['reason']}")
    passed, failed, skipped = (sum(row["result"] == word for row in every) for word in ("pass", "fail", "skip"))
    unexplained = [row["name"] for row in every if row["result"] == "skip" and not row["reason"]]
    if unexplained:
        say(f"skipped without a reason: {', '.join(unexplained)}")
    print(f"conformance: {passed} passed, {failed + len(unexplained)} failed, {skipped} skipped", flush=True)
    return 1 if failed or unexplained or not passed else 0


def table(found: dict[str, list[dict[str, Any]]], releases: dict[str, str]) -> str:
    """Markdown: a row per case and PF driver, a column per kernel; why a case was skipped stands below."""
    cells = {(row["name"], row["driver"], kernel): row for kernel, rows in found.items() for row in rows}
    lines = ["| case | PF driver | " + " | ".join(f"{name} ({releases[name]})" for name in found) + " |"]
    lines.append("|---" * (len(found) + 2) + "|")
    reasons: dict[str, None] = {}
    for name, driver in sorted({(name, driver) for name, driver, _ in cells}):
        row = [cells.get((name, driver, kernel)) for kernel in found]
        lines.append(
            f"| {name} | {driver} | " + " | ".join(MARKS[cell["result"]] if cell else "-" for cell in row) + " |"
        )
        skipped = [cell for cell in row if cell and cell["result"] == "skip"]
        reasons |= {f"{cell['kernel']}, {name}, {driver}: {cell['reason']}": None for cell in skipped}
    return "\n".join([*lines, "", "Skipped:", "", *(f"- {reason}" for reason in reasons), ""])
