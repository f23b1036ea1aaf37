# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reservations: a second controller neither replaces nor deletes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _live_arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import manifest_file, reservation, resume
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import OPTIONS, arm, claim, jump, phase, request, updated


def test_another_controller_is_refused_until_the_reservation_expires(node: FakeNode, pf: FakePf) -> None:
    first = arm(node, owner="ann@one", options=Options(**{**vars(OPTIONS), "reserve_s": 100.0}))
    kept = reservation.load(node.live.folder)
    assert kept is not None
    assert (kept.owner, kept.manifest, kept.expires - kept.since) == ("ann@one", first.id, 100.0)
    with pytest.raises(RefusedError, match=r"reserved by 'ann@one' since .* and this is 'bob@two'.*take_over"):
        _live_arm.require_free(node.live, request(owner="bob@two"))
    _live_arm.require_free(node.live, request(owner="bob@two", take_over=True))
    _live_arm.require_free(node.live, request(owner="ann@one"))
    reservation.require_mine(node.live.folder, "bob@two", kept.expires, take_over=False)


def test_it_survives_the_jump(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    assert reservation.load(node.live.folder) is not None
    node.live.folder.forget()
    assert reservation.load(node.live.folder) is None


@pytest.mark.parametrize("take_over", [False, True])
def test_saved_vms_are_deleted_by_nobody(node: FakeNode, pf: FakePf, take_over: bool) -> None:
    jump(node)
    node.scripts["web1"].start = "exits"
    assert resume.resume(node.live) == "failed"
    owner = "bob@two" if take_over else ""
    before, kept = claim(node), manifest_file.load(node.live.folder.path)
    assert kept is not None
    with pytest.raises(RefusedError, match=r"the saved states of web1 would be lost.*live-update restore"):
        _live_arm.arm(node.live, kept, request(owner=owner, take_over=take_over))
    assert claim(node) == before
    assert phase(node) == "failed"


def test_an_update_under_way_is_not_replaced(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    with pytest.raises(RefusedError, match="in phase kexec on this host"):
        _live_arm.require_free(node.live, request())


def test_an_update_that_ended_well_is_replaced(node: FakeNode, pf: FakePf) -> None:
    updated(node)
    _live_arm.require_free(node.live, request())


@pytest.mark.parametrize("change", [{"schema": 2}, {"owner": 5}, {"more": 1}, {"expires": "soon"}, {"since": None}])
def test_what_is_no_reservation(node: FakeNode, pf: FakePf, change: dict[str, Any]) -> None:
    arm(node)
    path = node.host.root / "var/lib/kvmfleet-sriov/live-update/reservation.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BadInputError, match=r"reservation\.json: not a reservation of schema 1"):
        reservation.load(node.live.folder)
