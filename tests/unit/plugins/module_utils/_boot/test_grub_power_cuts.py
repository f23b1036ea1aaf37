# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts after each step of setting what GRUB starts.

A child does it and ends, without a word, at one step after the other: a program that runs, a file that is synced or
renamed, and within grub-mkconfig. What is lost of the page cache is not played.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.grub import Grub
from tests.fake.boot.grub import NEW, OLD, GrubRoot, entry, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not on this machine: {', '.join(missing())}")
CUT = 9
OTHER = "6.6.1-never-tried"


def grub_of(root: GrubRoot, run: Callable[[Sequence[str]], str] | None = None) -> Grub:
    return Grub(root.host(), run or root.run, "/boot/grub", ())


def cut_at(root: GrubRoot, step: int, act: Callable[[Grub], object]) -> bool:
    """Do ``act`` in a child; whether its power was cut at ``step``."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == CUT
    left = [step]

    def tick() -> None:
        left[0] -= 1
        if left[0] < 0:
            os._exit(CUT)

    def ticking(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: object, **more: object) -> Any:  # noqa: ANN401 - as the function that it stands for
            tick()
            return call(*arguments, **more)

        return called

    for name in ("rename", "fsync", "unlink"):
        setattr(os, name, ticking(getattr(os, name)))
    os.sync = tick
    root.cut = tick
    try:
        act(grub_of(root, ticking(root.run)))
    finally:
        os._exit(0)


def known(root: GrubRoot, act: Callable[[Grub], object]) -> None:
    """Do ``act`` and take it back.

    So no child waits for what grub-mkconfig writes then.
    """
    grub = grub_of(root)
    before = grub.keep()
    act(grub)
    grub.restore(before)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GrubRoot:
    """An entry by its name, and a left-over in the environment block."""
    monkeypatch.setattr(os, "sync", lambda: None)  # not of all disks of this machine
    made = GrubRoot.make(tmp_path / "root", OLD, NEW, OTHER)
    made.settings(f'GRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_DEFAULT="{entry(OLD)}"\n')
    made.update()
    made.environment(f"saved_entry={entry(OTHER)}")
    return made


def test_a_default_is_the_old_or_the_new_one(root: GrubRoot) -> None:
    state = {path: path.read_bytes() for path in (root.folder / "boot/grub").iterdir()}

    def act(grub: Grub) -> None:
        grub.set_default(grub.answer().choice(NEW))

    known(root, act)
    found, step = set(), 0
    while cut_at(root, step, act):
        answer = grub_of(root).answer()
        assert (answer.next.release, answer.default.release) in ((OLD, OLD), (NEW, NEW)), step
        assert root.update()
        assert grub_of(root).answer().default.release in (OLD, NEW), step  # a later update-grub
        found.add(answer.next.release)
        (root.folder / "etc/default/grub.d/zz-kvmfleet-sriov.cfg").unlink(missing_ok=True)
        for path in (root.folder / "boot/grub").iterdir():
            path.unlink()
        for path, data in state.items():
            path.write_bytes(data)
        step += 1
    assert step > 5
    assert found == {OLD, NEW}
    assert grub_of(root).answer().default.release == NEW


def test_a_trial_is_not_begun_or_goes_back(root: GrubRoot) -> None:
    def act(grub: Grub) -> None:
        grub.set_once(grub.answer().choice(NEW), ("panic=30",))

    known(root, act)
    found, step = set(), 0
    while cut_at(root, step, act):
        answer = grub_of(root).answer()
        assert (answer.next.release, answer.default.release) in ((OLD, OLD), (NEW, OLD)), step
        found.add(answer.next.release)
        step += 1
    assert step > 5
    assert found == {OLD, NEW}
    assert (grub_of(root).answer().next.release, grub_of(root).answer().default.release) == (NEW, OLD)
    assert not list((root.folder / "boot/grub").glob("grub.cfg?*"))
