# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every failure, at each step of each transition.

Afterwards the PF is in its previous state, or the error says what differs.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.apply import ApplyError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, RefusedError, SriovError
from tests.fake.scenarios.faults import LATE, LIE, NONSENSE, OTHER, STATUS, STUCK
from tests.fake.scenarios.transitions import TRANSITIONS, A, B, Scene, Transition

BACK = "the PF is back in its previous state"
FAILED = "undoing it failed too: "
NUMBERS = (errno.EIO, errno.EPERM, errno.ENOMEM)
ALONE = [one for one in TRANSITIONS if len(one.starts) == 1]
"""With several PFs, the order of their steps is not known."""

ALL = pytest.mark.parametrize("transition", TRANSITIONS, ids=str)


@pytest.fixture
def good(scene: Scene) -> dict[str, Any]:
    """The picture after a run without faults, and the scene reset."""
    scene.run()
    after = scene.picture()
    assert after != scene.previous
    return after


def differing(found: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Names of the differences between two pictures of one PF.

    They are the engine's.
    """
    names = {"enabled": "hardware_vfs", "autoprobe": "drivers_autoprobe", "eswitch": "settings"}
    yield from (word for key, word in names.items() if found[key] != now[key])
    yield from ["present_vfs"] if set(found["vfs"]) != set(now["vfs"]) else []
    yield from ["settings"] if found["mtu"][0] != now["mtu"][0] else []
    for vf_id in set(found["vfs"]) & set(now["vfs"]):
        (_a, driver, override), (_b, new_driver, new_override) = found["vfs"][vf_id], now["vfs"][vf_id]
        yield from [f"driver of VF {vf_id} "] if driver != new_driver else []
        yield from [f"driver_override of VF {vf_id} "] if override != new_override else []
    for vf_id in set(found["properties"]) & set(now["properties"]):
        one, other = found["properties"][vf_id], now["properties"][vf_id]
        yield from [f"properties of VF {vf_id} "] if any(one[name] != other[name] for name in {*one} & {*other}) else []


def judge(scene: Scene, good: dict[str, Any], error: ApplyError) -> None:
    """Require failed PFs to be undone, and the others changed.

    What is not in its previous state is named by the error.
    """
    now = scene.picture()
    for address, failure in error.failures.items():
        if now[address] == scene.previous[address]:
            assert str(failure).endswith(BACK) or FAILED in str(failure)
        else:
            said = str(failure).partition(FAILED)[2]
            assert [what for what in differing(scene.previous[address], now[address]) if what not in said] == [], said
            assert said
    for address in set(now) - set(error.failures):
        assert now[address] == good[address]
    assert scene.in_use() == scene.used


def error_of(scene: Scene) -> ApplyError | None:
    try:
        scene.run()
    except ApplyError as error:
        return error
    return None


def fails(scene: Scene, good: dict[str, Any], faults: dict[int, int | str]) -> str:
    scene.reset(faults)
    with pytest.raises(ApplyError) as caught:
        scene.run()
    assert scene.host.struck
    judge(scene, good, caught.value)
    assert "unexpected" not in str(caught.value)
    return str(caught.value)


@ALL
def test_each_action_refused(scene: Scene, good: dict[str, Any]) -> None:
    """The undo of each refusal; the error names file and errno.

    For a program it names that. Only the narrow interface cannot undo everything.
    """
    for action in range(1, scene.actions + 1):
        for number in {NUMBERS[0], NUMBERS[1 + action % 2]}:
            text = fails(scene, good, {action: number})
            assert os.strerror(number) in text
            assert scene.host.struck[0] in text
            assert BACK in text or scene.transition.interface == B


@pytest.mark.parametrize("transition", ALONE, ids=str)
def test_each_program_goes_wrong(scene: Scene, good: dict[str, Any]) -> None:
    """Programs that end with an unknown status, or a deadline.

    Whether the program did what it should is not known.
    """
    words = {STATUS: "ended with status 255: it has a bad day", LATE: "did not end within 60 s"}
    programs = [action for action, kind in enumerate(scene.kinds, 1) if kind == "program"]
    for action in programs:
        for fault, said in words.items():
            text = fails(scene, good, {action: fault})
            assert said in text
            assert scene.host.struck[0] in text
            assert BACK in text or scene.transition.interface == B


@ALL
def test_each_action_lies(scene: Scene, good: dict[str, Any]) -> None:
    """Actions that succeed without effect.

    The run fails, unless the desired state is the same.
    """
    lies = 0
    for action in range(1, scene.actions + 1):
        scene.reset({action: LIE})
        if error := error_of(scene):
            judge(scene, good, error)
            lies += 1
        else:
            assert declared(scene, scene.picture()) == declared(scene, good)
    assert lies


def declared(scene: Scene, picture: dict[str, Any]) -> dict[str, Any]:
    """A picture without drivers that the kernel chooses.

    They may be none.
    """
    for step in (step for step in scene.steps if step.is_kernels_choice):
        for vf_id in step.ids:
            address, _driver, override = picture[step.pf]["vfs"][vf_id]
            picture[step.pf]["vfs"][vf_id] = address, None, override
            picture[step.pf]["mtu"][1].pop(vf_id, None)
            picture[step.pf]["names"].pop(vf_id, None)
    return picture


@ALL
def test_each_action_that_the_kernel_does_not_end(scene: Scene, good: dict[str, Any]) -> None:
    """Actions that the kernel blocks, and a run after each.

    The PF stays as it is until the kernel has finished; then the same specification is applied.
    """
    for action in [action for action, kind in enumerate(scene.kinds, 1) if kind != "write"]:  # that has no deadline
        scene.reset({action: STUCK})
        with pytest.raises(ApplyError, match=r"(has not come back|cannot be killed).*the PF is left as it is"):
            scene.run()
        kind = scene.host.kinds[action - 1]
        scene.live()
        if kind == "within":
            with pytest.raises(RefusedError, match="has been writing"):
                scene.run()
            scene.host.unblock()
            scene.live()
        scene.run()
        assert scene.picture() == good
        assert scene.in_use() == scene.used


@ALL
def test_each_answer_of_a_program_goes_wrong(scene: Scene, good: dict[str, Any]) -> None:
    """Wrong answers of programs that only read.

    Before anything is written it is an error, later all is undone; some answers are not needed.
    """
    for question in range(1, scene.asked + 1):
        for fault in (STATUS, (NONSENSE, OTHER, LATE)[question % 3]):
            scene.reset(wrong={question: fault})
            try:
                scene.run()
            except ApplyError as error:
                judge(scene, good, error)
            except SriovError:
                assert scene.host.actions == 0
                assert scene.picture() == scene.previous
            else:
                assert scene.picture() == good


@pytest.mark.parametrize("transition", [one for one in ALONE if one.interface == A], ids=str)
def test_each_undo_fails_too(scene: Scene, good: dict[str, Any]) -> None:
    """Both errors, and differences from the previous state.

    The other undos are tried.
    """
    fails(scene, good, {scene.actions: errno.EIO})
    undos = scene.host.actions - scene.actions
    for undo in range(1, undos + 1):
        text = fails(scene, good, {scene.actions: errno.EIO, scene.actions + undo: errno.ENOSPC})
        assert os.strerror(errno.EIO) in text.partition(FAILED)[0]
        if text.partition(FAILED)[1]:
            assert os.strerror(errno.ENOSPC) in text.partition(FAILED)[2]
        else:  # programs that fail are tried attribute by attribute
            assert text.endswith(BACK)


def reading(scene: Scene, what: Callable[[int], None]) -> None:
    """Call ``what`` at each reading after the last action.

    It takes the reading's place among those of files, in a run without faults.
    """
    sysfs, read, after = scene.host.sysfs, type(scene.host.sysfs).read, 0

    def noted(path: str) -> str:
        nonlocal after
        if scene.host.actions == scene.actions:
            after += 1
            what(after)
        return read(sysfs, path)

    sysfs.read = noted  # type: ignore[method-assign]  # the scene is of one test


@pytest.mark.parametrize(
    "transition", [one for one in TRANSITIONS if one.name in ("from nothing", "eswitch, VFs disabled")], ids=str
)
def test_each_reading_afterwards_fails(scene: Scene, good: dict[str, Any]) -> None:
    """No success without a reading of the result."""
    places: list[int] = []
    reading(scene, places.append)
    scene.reset()
    scene.run()
    assert len(places) > 5
    for bad in places:

        def fail(place: int, bad: int = bad) -> None:
            if place == bad:
                raise KernelError("read", "/sys/some/file", errno.EIO)

        scene.reset()
        reading(scene, fail)
        error = error_of(scene)
        if error is None:  # of a file that a driver need not have
            assert (scene.picture(), scene.transition.name) == (good, "eswitch, VFs disabled")
        else:
            assert "cannot read /sys/" in str(error)
            judge(scene, good, error)
            assert scene.picture() == scene.previous


@pytest.mark.parametrize("transition", [TRANSITIONS[0]], ids=str)
def test_what_nobody_has_thought_of_is_taken_back(
    transition: Transition, scene: Scene, good: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(*_args: object) -> None:
        raise ZeroDivisionError("a bug")

    scene.reset()
    monkeypatch.setattr(scene.host.kernel, "probe", probe)
    with pytest.raises(ApplyError, match=f"unexpected ZeroDivisionError: a bug.*{BACK}") as caught:
        scene.run()
    judge(scene, good, caught.value)
    assert transition.interface == A
