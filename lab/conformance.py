"""The conformance cases on real kernels: one table of cases x kernels."""

from __future__ import annotations

import io
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import evidence, jumps, kernels, many_vfs, testbed
from .host import Running
from .paths import REPOSITORY
from .progress import LabError, say, step

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
        for path in sorted(SOURCES.glob("*.py")):
            archive.add(path, path.name)
        for path in sorted(ENGINE.glob("*.py")):
            archive.add(path, f"kvmfleet_sriov/{path.name}")
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


def rows_of(fleet: str, only: list[str]) -> dict[str, list[dict[str, Any]]]:
    """By flavour, the rows of all cases on a fleet's hosts that are named after one."""
    hosts = [entry for entry in testbed.ready(fleet) if entry.host.name in kernels.FLAVOURS]
    modules = {entry.host.name: many_vfs.build(entry.host.name) for entry in hosts}

    def run_one(entry: Running) -> list[dict[str, Any]]:
        return run_on(entry, only, modules[entry.host.name])

    with step("conformance cases on real kernels"), ThreadPoolExecutor(2) as pool:
        found = dict(zip((entry.host.name for entry in hosts), pool.map(run_one, hosts)))
    if not all(found.values()):
        raise LabError(f"no cases were run on: {', '.join(name for name, rows in found.items() if not rows)}")
    return found


def conformance(only: list[str], fleet: str = testbed.FLEET) -> int:
    """All cases on the fleet's kernels; a complete run on all flavours is recorded as evidence."""
    found = rows_of(fleet, only)
    releases = {name: kernels.built(name).release for name in found}
    status = tell(found, releases)
    if fleet == KERNELS and not only:
        for name, rows in found.items():
            evidence.record(name, releases[name], rows)
    return status


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
