"""Jumps: planned kexecs, the file between the halves, the rows."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import harness
import jumps
import jumps_kept
import pytest
from jumps import Hop, Jump, Note, State

from tests.fake.linux.host import FakeHost


def half(pf: harness.Pf, note: Note) -> None:
    pf.ok("sriov_numvfs_no_scan", 2)
    note["was"] = pf.read("sriov_numvfs")


def leap(name: str, words: str = "", **more: Any) -> Jump:  # noqa: ANN401 - any field of a jump
    fields = {"leaves": None, "interfaces": harness.FULL, "vfs": 2, "before": half, "check": half} | more
    return Jump(name, words, **fields)


def case(name: str, words: str = "") -> harness.Case:
    return harness.Case(name, print, harness.FULL, 2, True, words)


def test_cases_are_run_after_the_first_kexec_with_their_words_and_all_words_are_left_behind() -> None:
    cases = [case("ordinary"), case("kept", "k"), case("listed", "l"), case("dropped", "k")]
    assert jumps.plan([leap("plain"), leap("one", "k"), leap("two", "k")], cases) == [
        Hop("k", "one", ("kept", "dropped")),
        Hop("k", "two"),
        Hop("l", "", ("listed",)),
        Hop("", "plain"),
    ]


def test_cases_alone_have_kexecs_too() -> None:
    assert jumps.plan([], [case("kept", "k")]) == [Hop("k", "", ("kept",)), Hop("", "")]
    assert jumps.plan([], [case("ordinary")]) == []


def test_a_jump_that_leaves_a_certain_kernel_finds_it() -> None:
    first, again = leap("one", "k"), leap("two", "k", leaves="k")
    assert [hop.jump for hop in jumps.plan([first, again], [])] == ["one", "two", ""]
    assert jumps.plan([again], [case("kept", "k")]) == [Hop("k", "", ("kept",)), Hop("k", "two"), Hop("", "")]


def test_a_jump_is_made_of_two_halves() -> None:
    @jumps.jump(words="k", vfs=3)
    def jump_first(pf: harness.Pf, note: Note) -> None:
        """A jump's first half."""

    module = ModuleType("jumps_of_a_test")
    vars(module)["jump_first"] = jump_first
    with pytest.raises(ValueError, match="without a second half: first"):
        jumps.collect([module])
    jump_first.after(half)
    assert jumps.collect([module]) == [Jump("first", "k", None, harness.FULL, 3, jump_first.before, half)]


def test_every_real_jump_says_what_must_hold() -> None:
    found = jumps.collect([jumps_kept])
    assert len({one.name for one in found}) == len(found) > 3
    assert all(one.before.__doc__ for one in found)


@pytest.fixture
def pf(tmp_path: Path) -> harness.Pf:
    host = FakeHost(tmp_path / "root", "vf-id")
    return harness.Pf(host.sysfs, host.igb().address)


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(str(tmp_path / "state.json"), [Hop("k", "one", ("kept",))])


def test_both_halves_with_the_file_between_them(state: State, pf: harness.Pf) -> None:
    def check(pf: harness.Pf, note: Note) -> None:
        harness.require(note == {"was": "2"}, f"the note is {note}")
        harness.require(pf.read("sriov_numvfs") == "2", "not as it was left")

    one = leap("one", "k", check=check)
    jumps.announce(state, one, pf, "series")
    assert (state.row("one", pf).result, state.row("one", pf).reason) == ("fail", jumps.NO_RETURN)
    jumps.first_half(state, one, pf, "series", str)
    state.save()
    found = State.load(state.path)
    assert found == state
    assert jumps.pending(found, one, pf)
    jumps.second_half(found, one, pf, "series", str)
    assert (found.row("one", pf).result, found.row("one", pf).driver) == ("pass", "igb")
    assert pf.read("sriov_numvfs") == "0"


def test_a_first_half_that_fails_is_the_result(state: State, pf: harness.Pf) -> None:
    def before(pf: harness.Pf, note: Note) -> None:
        pf.ok("sriov_numvfs_no_scan", 4000)

    one = leap("one", before=before)
    jumps.announce(state, one, pf, "series")
    jumps.first_half(state, one, pf, "series", str)
    assert "ERANGE" in state.row("one", pf).reason
    jumps.second_half(state, one, pf, "series", str)
    assert state.row("one", pf).result == "fail"


def test_what_the_kernel_complains_of_fails_either_half(state: State, pf: harness.Pf) -> None:
    one = leap("one")
    for run in (jumps.first_half, jumps.second_half):
        jumps.announce(state, one, pf, "series")
        run(state, one, pf, "series", lambda: "WARNING: x")
        assert state.row("one", pf).reason == "kernel log: WARNING: x"


def test_the_last_words_of_the_old_kernel_count_once() -> None:
    watch = jumps.both("BUG: old", lambda: "new")
    assert [watch(), watch()] == ["BUG: old", "new"]
    assert jumps.both("", str)() == ""


def test_the_second_half_puts_back_what_it_did(state: State, pf: harness.Pf) -> None:
    undone: list[str] = []

    def check(pf: harness.Pf, note: Note) -> None:
        pf.undo.append(lambda: undone.append("undone"))
        raise harness.FailedError("no")

    one = leap("one", check=check)
    jumps.announce(state, one, pf, "series")
    jumps.second_half(state, one, pf, "series", str)
    assert (state.row("one", pf).reason, undone) == ("no", ["undone"])


def test_a_jump_for_other_kernels_is_skipped_with_a_reason(tmp_path: Path, state: State) -> None:
    host = FakeHost(tmp_path / "stock", "stock")
    pf = harness.Pf(host.sysfs, host.igb().address)
    jumps.announce(state, leap("one"), pf, "stock")
    assert (state.row("one", pf).result, state.row("one", pf).reason) == (
        "skip",
        "describes vf-id; this PF has stock",
    )
    assert not jumps.pending(state, leap("one"), pf)


def test_words_of_the_command_line() -> None:
    files: Any = SimpleNamespace(
        read=lambda path: {
            "/sys/bus/pci/devices/0000:01:00.0/vendor": "0x8086",
            "/sys/bus/pci/devices/0000:01:00.0/device": "0x10c9",
            "/sys/bus/pci/devices/0000:02:00.0/vendor": "0x1b36",
            "/sys/bus/pci/devices/0000:02:00.0/device": "0x0010",
            "/proc/cmdline": "root=/dev/vdb pci=list=1b36:0010;8086:10c9 pci=keep",
        }[path]
    )
    pf = harness.Pf(files, "0000:01:00.0", True, ("0000:02:00.0",))
    assert pf.filled("pci=list={ids}") == "pci=list=1b36:0010;8086:10c9"
    assert pf.booted_with("pci=list={ids} pci=keep")
    assert not pf.booted_with("pci=keep pci=kee")
