# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ansible-test sanity` on newer releases of ansible-core.

It takes minutes on each, so what passed is recorded in tests/sanity/EVIDENCE.json, file by file: `make sanity-newer`
runs the tests on files that were edited since, and writes the record. The stage of `make test` does the same without
writing. A release whose Python is not here is skipped by name; files with a valid result count all the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.inputs import ROOT, digest, digests, matches

CORES = {"2.20": "3.12", "2.21": "3.13"}
"""Releases, and a Python that each runs on; tools/pin has the same."""
RECORD = ROOT / "tests/sanity/EVIDENCE.json"
FILES = ("galaxy.yml", "meta/*", "playbooks/*", "plugins/*", "roles/*")
SETTINGS = ("tests/config.yml", "tests/sanity/ignore-{core}.txt", "requirements/core-{core}.txt")
"""Files whose change makes all results of a release stale."""


def settings(core: str, root: Path = ROOT) -> dict[str, str]:
    """Digests of what decides about all files."""
    names = [name.format(core=core) for name in SETTINGS]
    return {name: digest(root / name) for name in names if (root / name).is_file()}


def due(known: Mapping[str, Any], rests: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """Names of files without a valid result in a release's record."""
    valid = known.get("files", {}) if known.get("settings") == rests else {}
    return sorted(name for name, value in files.items() if valid.get(name) != value)


def python(version: str) -> str:
    """The path of a Python of a version, empty without one."""
    return subprocess.run([ROOT / "tools/find_python", version], stdout=subprocess.PIPE, text=True).stdout.strip()


def environment(core: str, interpreter: str) -> Path:
    """The environment of Python for a release, made when missing or stale."""
    folder, pins = ROOT / f"build/core-{core}", ROOT / f"requirements/core-{core}.txt"
    stamp = folder / ".ready"
    if not stamp.is_file() or stamp.read_text() != pins.read_text():
        subprocess.run([interpreter, "-m", "venv", "--clear", folder], check=True)
        pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(pins)], check=True)
        stamp.write_text(pins.read_text())
    return folder


def passes(core: str, interpreter: str, names: list[str]) -> bool:
    """Run the tests on files, on all of them with no names."""
    own = {
        "KVMFLEET_CORE": str(environment(core, interpreter)),
        "KVMFLEET_SANITY": f"build/sanity-{core}",
    }
    return subprocess.run([ROOT / "tests/sanity/run", *names], cwd=ROOT, env=os.environ | own).returncode == 0


def examine(core: str, known: Mapping[str, Any], files: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The outcome of a release, and its record.

    The outcome is words of "passed failed skipped". A release that is skipped has passed, too, where some files have a
    valid result.
    """
    rests = settings(core)
    names = due(known, rests, files)
    if not names:
        print(f"ansible-core {core}: all {len(files)} files have a valid result")
        return "passed", dict(known)
    interpreter = python(CORES[core])
    if not interpreter:
        print(f"ansible-core {core}: skipped, {len(names)} of {len(files)} files have no valid result, and there is")
        print(f"  no Python {CORES[core]} here, neither python{CORES[core]} on the PATH nor one of pyenv")
        return "passed skipped" if len(names) < len(files) else "skipped", dict(known)
    print(f"ansible-core {core}: {len(names)} of {len(files)} files have no valid result", flush=True)
    if not passes(core, interpreter, [] if len(names) == len(files) else names):
        return "failed", dict(known)
    return "passed", {"settings": rests, "files": dict(files)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run ansible-test sanity on newer releases of ansible-core.")
    parser.add_argument("--record", action="store_true", help="write what passed to tests/sanity/EVIDENCE.json")
    parser.add_argument("--fresh", action="store_true", help="on all files")
    options = parser.parse_args(arguments)
    record = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    files = {name: value for name, value in digests().items() if matches(name, FILES)}
    outcomes = []
    for core in CORES:
        outcome, record[core] = examine(core, {} if options.fresh else record.get(core, {}), files)
        outcomes += outcome.split()
    if options.record:
        RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    counts = (f"{outcomes.count(kind)} {kind}" for kind in ("passed", "failed", "skipped"))
    print(", ".join(counts))
    return int("failed" in outcomes)


if __name__ == "__main__":
    sys.exit(main())
