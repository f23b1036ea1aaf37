# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PF of each case.

Those about thousands of VFs run on the module's PF alone, and all others never there.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.fake.linux.host import FakeHost

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "conformance"))
harness = importlib.import_module("harness")
many_vfs = importlib.import_module("many_vfs")
run = importlib.import_module("run")

SMALL, LARGE = "0000:04:00.0", "10000:00:00.0"
VFS = many_vfs.MANY  # of the large PF; as many as in the lab would cost ten seconds
CASES = [
    harness.Case("few", lambda pf: pf.ok("sriov_numvfs", 1), ("vf-id",), 1, False),
    harness.Case("many", lambda pf: pf.ok("sriov_numvfs", pf.total), ("vf-id",), VFS, False),
]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a class that is imported by name
    """A host with a small PF, and the module's large one.

    The latter appears when the module is loaded.
    """
    fake = FakeHost(tmp_path / "root")
    fake.nvme(SMALL)

    @contextmanager
    def there() -> Iterator[Sequence[str]]:
        fake.nvme(LARGE, total=VFS)
        yield (LARGE, "10000:00:01.0")

    monkeypatch.setattr(many_vfs, "there", there)
    monkeypatch.setattr(many_vfs, "MODULE", tmp_path / "many_vfs.ko")
    return run.Host(fake.sysfs, "fake", str)


def rows(host: Any) -> list[tuple[str, str, str]]:  # noqa: ANN401 - its class is imported by name
    return [(row.name, row.pf, row.result) for row in run.run_all(host, [SMALL], CASES)]


def test_without_the_module_the_cases_that_need_it_are_skipped_with_a_reason(host: Any) -> None:  # noqa: ANN401 - its class is imported by name
    assert rows(host) == [("few", SMALL, "pass"), ("many", SMALL, "skip")]


def test_with_the_module_each_case_runs_where_it_belongs(host: Any) -> None:  # noqa: ANN401 - its class is imported by name
    many_vfs.MODULE.touch()
    assert rows(host) == [("few", SMALL, "pass"), ("many", LARGE, "pass")]


def test_cases_may_use_the_other_pfs_of_the_same_sort_only(host: Any) -> None:  # noqa: ANN401 - its class is imported by name
    seen: list[tuple[str, ...]] = []
    case = harness.Case("look", lambda pf: seen.append(pf.others), ("vf-id",), 1, False)
    list(run.run_on(host, [SMALL], [SMALL, "0000:05:00.0"], [case]))
    assert seen == [("0000:05:00.0",)]


def test_no_rows_are_written_too_so_that_a_missing_file_means_a_run_that_broke_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "KernelLog", lambda: str)
    monkeypatch.setattr(run.listeners, "silenced", nullcontext)
    assert run.main(["--only", "no such case", "--json", str(tmp_path / "rows.json")]) == 2
    assert (tmp_path / "rows.json").read_text() == "[]\n"
