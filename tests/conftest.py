# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests have in common.

It makes the collection importable by its full name on a fresh clone: a link below build/src leads to this checkout.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINK = ROOT / "build" / "src" / "ansible_collections" / "kvmfleet" / "sriov"

if not LINK.exists():
    LINK.parent.mkdir(parents=True, exist_ok=True)
    LINK.symlink_to(ROOT)
    importlib.invalidate_caches()  # the folder was on the path before it existed
for folder in (ROOT, ROOT / "build" / "src"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

OUTSIDE = (
    "/boot/*kvmfleet*", "/etc/kvmfleet*/**/*", "/etc/systemd/system/*kvmfleet*", "/etc/udev/rules.d/*kvmfleet*",
    "/run/*kvmfleet*/**/*", "/run/systemd/*/*kvmfleet*", "/usr/local/sbin/*", "/var/lib/*kvmfleet*/**/*",
)  # fmt: skip
"""What roles and programs under test write on a host."""


def pytest_runtest_setup() -> None:
    """Start no test after the inner loop's time (tools/unit_tests.py)."""
    if time.monotonic() > float(os.environ.get("KVMFLEET_TESTS_UNTIL", "inf")):
        pytest.skip("the minute of make test-fast is over: make unit runs it")


@pytest.fixture(autouse=True, scope="session")
def modules_are_compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the bytecode of Ansible's modules for the session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "lab/bytecode"), prepend=os.pathsep)
        patch.setenv("KVMFLEET_BYTECODE", str(tmp_path_factory.mktemp("bytecode")))
        yield


@pytest.fixture(autouse=True, scope="module")
def nothing_is_written_to_this_machine() -> Iterator[None]:
    """Fail tests that write host files on this machine."""
    before = _traces()
    yield
    assert _traces() == before, "a test has written outside its folder"


def _traces() -> dict[str, tuple[int, int]]:
    """Files of `OUTSIDE` with their size and time of change."""
    found = {}
    for pattern in OUTSIDE:
        for path in Path("/").glob(pattern[1:]):
            with contextlib.suppress(FileNotFoundError):
                stat = path.lstat()
                found[str(path)] = (stat.st_size, 0 if path.is_dir() else stat.st_mtime_ns)
    return found
