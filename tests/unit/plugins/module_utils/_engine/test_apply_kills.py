# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed at each step of each transition.

The same specification leads from there to the same state.
"""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import UNFINISHED
from tests.fake.scenarios.faults import KILL, KILL_AFTER, Killed
from tests.fake.scenarios.transitions import TRANSITIONS, Scene

ALL = pytest.mark.parametrize("transition", TRANSITIONS, ids=str)


def notes(scene: Scene) -> list[str]:
    return scene.host.sysfs.names(UNFINISHED)


def predicted(scene: Scene) -> dict[str, Any]:
    """The result of a run, which check mode has predicted.

    Check mode changed nothing.
    """
    before = scene.picture(), scene.host.actions, notes(scene)
    asked = scene.run(check=True).to_dict()
    assert (scene.picture(), scene.host.actions, notes(scene)) == before
    done = scene.run().to_dict()
    assert {key: done[key] for key in asked} == asked
    return done


def arrives(scene: Scene, good: dict[str, Any]) -> None:
    """Run again and require the desired state.

    No run is unfinished then, VFs in use were not touched, and nothing is left to do.
    """
    scene.live()
    predicted(scene)
    assert scene.picture() == good
    assert scene.in_use() == scene.used
    assert notes(scene) == []
    assert not scene.run().plan.changed


@ALL
def test_check_predicts_what_is_done(scene: Scene) -> None:
    assert predicted(scene)["changed"]
    assert not predicted(scene)["changed"]


@ALL
def test_killed_at_each_action(scene: Scene) -> None:
    scene.run()
    good = scene.picture()
    for action in range(1, scene.actions + 1):
        scene.reset({action: KILL})
        with pytest.raises(Killed):
            scene.run()
        arrives(scene, good)


@ALL
def test_killed_after_the_last_action(scene: Scene) -> None:
    """A run killed before it reads its result."""
    scene.run()
    good = scene.picture()
    scene.reset({scene.actions: KILL_AFTER})
    with pytest.raises(Killed):
        scene.run()
    arrives(scene, good)
