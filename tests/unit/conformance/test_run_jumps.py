"""Plans of the program on the host, and findings on the console."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import cases_adopted
import cases_doubts
import cases_kept
import harness
import jumps
import jumps_kept
import pytest
import run
import run_jumps

from tests.fake.linux.host import FakeHost

KEEP = "pci=sriov_keep_vfs"
LISTED = f"{KEEP}=8086:10c9,sriov_absent_vfs=8086:10c9"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real jumps and cases, with files in a scratch folder.

    The cases are those about kept VFs.
    """
    found: dict[str, list[ModuleType]] = {
        "jumps_*.py": [jumps_kept],
        "cases_*.py": [cases_adopted, cases_doubts, cases_kept],
    }
    monkeypatch.setattr(run, "modules", found.__getitem__)
    monkeypatch.setattr(run_jumps, "STATE", tmp_path / "jumps.json")
    monkeypatch.setattr(run_jumps, "CONSOLE", tmp_path / "console.txt")


def plan(folder: Path, interface: str, *only: str) -> jumps.State:
    host = FakeHost(folder / "root", interface)
    pf = harness.Pf(host.sysfs, host.igb().address, True)
    for name, value in (("vendor", "0x8086"), ("device", "0x10c9")):
        Path(f"{host.sysfs.root}{pf.path}/{name}").write_text(f"{value}\n")
    return run_jumps.Runner([pf], interface).plan(list(only))


def test_five_kexecs_for_the_series_and_every_row_counts_as_failed_until_it_is_made(tmp_path: Path) -> None:
    state = plan(tmp_path, "vf-id")
    assert [hop.words for hop in state.hops] == [KEEP, KEEP, LISTED, f"{KEEP} elfcorehdr=0xf0000", ""]
    planned = [name for hop in state.hops for name in (hop.jump, *hop.cases)]
    assert sorted(planned) == sorted(row.name for row in state.rows.values())
    assert len(planned) > 25
    assert {(row.result, row.reason) for row in state.rows.values()} == {("fail", jumps.NO_RETURN)}
    assert jumps.State.load(state.path) == state


def test_one_kexec_for_a_stock_kernel(tmp_path: Path) -> None:
    state = plan(tmp_path, "stock")
    assert state.hops == [jumps.Hop("", "kexec_without_the_parameter")]
    rest = [row for row in state.rows.values() if row.name != "kexec_without_the_parameter"]
    assert {(row.result, row.reason) for row in rest} == {("skip", "describes vf-id; this PF has stock")}


@pytest.mark.parametrize(
    ("only", "words"),
    [
        (["keeps_again"], [KEEP, KEEP, ""]),
        (["without_the_parameter"], [""]),
        (["driver_that_is_listed"], [LISTED, ""]),
        (["bar_that_moved", "keeps_vfs"], [KEEP, ""]),
        (["nothing has this name"], []),
    ],
)
def test_a_part_is_selected_by_name(tmp_path: Path, only: list[str], words: list[str]) -> None:
    assert [hop.words for hop in plan(tmp_path, "vf-id", *only).hops] == words


def test_the_console_is_searched_if_it_was_kept() -> None:
    assert run_jumps.console() == ""
    run_jumps.CONSOLE.write_bytes(b"\x1b[0m[ 1.0] fine\xff\n[ 2.0] WARNING: CPU: 0\n[ 3.0] BUG: later\n")
    assert run_jumps.console() == "[ 2.0] WARNING: CPU: 0"


def test_a_writer_that_is_cut_off_by_the_jump_is_no_complaint() -> None:
    cut = "[   87.4] WARNING: CPU: 0 PID: 71 at fs/ext4/ext4_jbd2.c:73 ext4_journal_check_start+0x1e/0x6f"
    run_jumps.CONSOLE.write_text(f"{cut}\n")
    assert run_jumps.console() == ""
    run_jumps.CONSOLE.write_text(f"{cut}\n[ 88.0] WARNING: CPU: 0 PID: 1 at drivers/pci/iov.c:1 x+0x1/0x2\n")
    assert "drivers/pci/iov.c" in run_jumps.console()
