# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs that decide the result of a test stage.

They are files of the checkout, and what is installed on this machine. A stage rests on every file that git tracks or
does not ignore, less those that `STAGES` leaves out for it: leave out only what it cannot read. Packages of Python and
of the operating system, the running kernel and settings in the environment decide every stage; the lab's root file
system, made of packages of a mirror, those that boot hosts.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from lab.paths import cache

ROOT = Path(__file__).resolve().parents[1]
RECORD = "kernel/EVIDENCE.json"
FAULTS_RECORD = "tests/faults/EVIDENCE.json"
MUTANTS_RECORD = "tests/mutants/EVIDENCE.json"
SANITY_RECORD = "tests/sanity/EVIDENCE.json"
RECORDS = (RECORD, FAULTS_RECORD, MUTANTS_RECORD, SANITY_RECORD)
TOOLS = ("Makefile", "tools/*", "requirements/*", "pyproject.toml")
PYTHON = ("*.py", "*.pyi", *TOOLS)
TEXTS = ("*.md", "*.rst", "docs/*", "changelogs/*", "LICENSES/*", ".git-blame-ignore-revs")
COLLECTION = (
    "galaxy.yml", "*.md", "*.rst", "COPYING", "LICENSES/*", "changelogs/*", "docs/*", "files/*", "meta/*",
    "playbooks/*", "plugins/*", "roles/*", "tests/config.yml", "tests/sanity/*",
)  # fmt: skip
ENVIRONMENT = ("KVMFLEET_", "ANSIBLE_", "MOLECULE_", "PYTEST_", "HYPOTHESIS_")
NO_SETTING = {"ANSIBLE_NOCOLOR", "KVMFLEET_BEGAN", "KVMFLEET_CACHE", "KVMFLEET_FRESH", "KVMFLEET_TESTS_UNTIL"}
"""Names of these that change no result, or differ in each run."""


@dataclass(frozen=True)
class Inputs:
    """Patterns of the files that a stage rests on.

    They are `fnmatch` patterns, in which ``*`` crosses folders. With ``lab``, the stage boots hosts.
    """

    only: tuple[str, ...] = ("*",)
    without: tuple[str, ...] = RECORDS
    lab: bool = False

    def takes(self, file: str) -> bool:
        """Whether the stage rests on a file."""
        return matches(file, self.only) and not matches(file, self.without)


HOSTS = (
    RECORD, *TEXTS, "tests/unit/*", "tests/mutants/*", "tests/sanity/*", "tests/fake/*", "tests/faults/*",
    "tests/libvirt/*", "bench/*",
)  # fmt: skip
FAULTS = (
    "plugins/module_utils/*", "plugins/modules/boot_*", "roles/kernel_deploy/files/*", "tests/faults/*", "tests/fake/*",
    "lab/*",
)  # fmt: skip
STAGES = {
    "ruff": Inputs(PYTHON),
    "mypy": Inputs(PYTHON),
    "import-lint": Inputs((*PYTHON, ".config/*")),
    "unit": Inputs(),
    "unit-slow": Inputs(),
    "python39": Inputs(("plugins/*", "tests/*", *TOOLS)),
    "mutants": Inputs(without=(RECORD, FAULTS_RECORD, SANITY_RECORD)),
    "faults": Inputs((*FAULTS, *TOOLS), without=()),
    "kernel-check": Inputs(("kernel/*", "roles/kernel_build/*", "lab/*", *TOOLS)),
    "ansible-lint": Inputs(without=(RECORD, "tests/*", "lab/*", "changelogs/*")),
    "yamllint": Inputs(("*.yml", "*.yaml", ".yamllint", *TOOLS)),
    "changelog": Inputs(("changelogs/*", "galaxy.yml", *TOOLS)),
    "sanity": Inputs((*COLLECTION, *TOOLS)),
    "newer": Inputs((*COLLECTION, *TOOLS), without=()),
    "importer": Inputs((*COLLECTION, *TOOLS)),
    "docs": Inputs((*COLLECTION, *TOOLS)),
    "reuse": Inputs(),
    "conformance": Inputs(without=(*HOSTS, "molecule/*"), lab=True),
    "molecule": Inputs(without=(*HOSTS, "tests/conformance/*"), lab=True),
}
"""Stages that may be skipped; all others run every time."""


def matches(file: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(file, pattern) for pattern in patterns)


def digests(root: Path = ROOT) -> dict[str, str]:
    """Digests of the checkout's files, by name.

    The files are those that git tracks or does not ignore, as they are now; contents and mode count.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=True).stdout.decode()
    return {name: digest(root / name) for name in sorted(set(filter(None, listed.split("\0")))) if _there(root / name)}


def _there(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def digest(path: Path) -> str:
    """The digest of a file's contents and mode, or a link's target."""
    if path.is_symlink():
        return f"link {os.readlink(path)}"
    mode = "x" if os.access(path, os.X_OK) else "-"
    return mode + hashlib.sha256(path.read_bytes()).hexdigest()[:24]


def facts(environment: Mapping[str, str] = os.environ) -> dict[str, object]:
    """The installed packages, the machine, and settings for the tests."""
    return {
        "python": sys.version,
        "packages": packages(),
        "machine": [platform.machine(), platform.release()],
        "system": _installed(),
        "boot_loaders": _boot_loaders(),
        "environment": {
            name: value
            for name, value in sorted(environment.items())
            if name.startswith(ENVIRONMENT) and name not in NO_SETTING
        },
    }


def packages() -> list[str]:
    """The installed packages of Python, with versions."""
    return sorted(path.name for path in Path(sysconfig.get_paths()["purelib"]).glob("*.dist-info"))


def _installed() -> str:
    """The operating system's packages, with versions; empty where there is no dpkg."""
    try:
        return subprocess.run(["dpkg-query", "--show"], stdout=subprocess.PIPE, check=False, text=True).stdout
    except FileNotFoundError:
        return ""


def _boot_loaders() -> str:
    """The packages of boot loaders that tools/setup has unpacked."""
    unpacked = cache() / "boot_loaders/packages"
    return unpacked.read_text(encoding="utf-8") if unpacked.is_file() else ""


def lab_images() -> list[tuple[str, int]]:
    """Names and times of the root file systems in the cache."""
    return sorted((path.name, path.stat().st_mtime_ns) for path in (cache() / "rootfs").glob("*"))


def key(stage: str, files: Mapping[str, str], known: Mapping[str, object]) -> str:
    """The key of a stage's inputs: 24 hex digits.

    They are a checksum of the stage's part of ``files`` (`digests`) and of ``known`` (`facts`).
    """
    inputs = STAGES[stage]
    taken = {name: value for name, value in files.items() if inputs.takes(name)}
    images = lab_images() if inputs.lab else []
    return hashlib.sha256(json.dumps([stage, taken, known, images], sort_keys=True).encode()).hexdigest()[:24]
