# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claim's whole table: every step from every state.

And what may be done with a VM in every situation.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.claim import Claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.state_file import Fingerprint

STATES = ("unsaved", "ended", "saved", "claimed", "failed", "running", "acknowledged")
ALLOWED = {
    ("saved", "claimed"), ("claimed", "claimed"), ("claimed", "running"), ("claimed", "failed"),
    ("failed", "claimed"), ("running", "running"), ("running", "failed"), ("running", "acknowledged"),
    ("acknowledged", "running"), ("unsaved", "saved"), ("unsaved", "running"), ("unsaved", "ended"),
}  # fmt: skip
SEALED = Fingerprint(10, "cd" * 16, "ab" * 32, False, 5, 6)


def claim(state: str = "saved", boot_id: str = "old", manifest: str = "m1") -> Claim:
    return Claim(manifest, "web1", state, boot_id, "web1.service", 5.0, SEALED, 3.0, 4.0, form={"a": 1})


@pytest.mark.parametrize(("old", "new"), list(itertools.product(STATES, STATES)))
def test_every_step(old: str, new: str) -> None:
    if (old, new) in ALLOWED:
        after = _claim.advance(claim(old), new, "new", 9.0, "why")
        assert (after.state, after.boot_id, after.time, after.error) == (new, "new", 9.0, "why")
        assert (after.fingerprint, after.form, after.paused_at) == (SEALED, {"a": 1}, 3.0)
    else:
        with pytest.raises(RefusedError, match=f"its claim is {old}, it cannot become {new}"):
            _claim.advance(claim(old), new, "new", 9.0)


def test_a_saved_guest_is_never_running_without_a_claim() -> None:
    assert ("saved", "running") not in ALLOWED
    assert all(old not in ("running", "acknowledged") for old, new in ALLOWED if new in ("saved", "claimed"))


def test_the_documented_table_has_these_states() -> None:
    """What it says of each is what the code does."""
    text = Path("docs/live_update.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \| (yes|no) \| (yes|no) \|$", text, re.MULTILINE)
    words = {True: "yes", False: "no"}
    assert rows == [(name, words[one.loadable], words[not one.needed]) for name, one in _claim.STATES.items()]
    assert tuple(_claim.STATES) == STATES


def test_only_a_guest_that_ran_is_acknowledged() -> None:
    assert [old for old, new in sorted(ALLOWED) if new == "acknowledged"] == ["running"]
    assert [name for name, one in _claim.STATES.items() if one.loadable] == ["saved", "claimed", "failed"]


# state, claim's boot id is this one's, a QEMU of this name runs, cold start allowed -> action
TABLE = [
    ("saved", False, False, False, "start"),
    ("saved", True, False, False, "start"),
    ("saved", False, True, False, "conflict"),
    ("saved", True, True, True, "conflict"),
    ("claimed", True, True, False, "adopt"),
    ("claimed", True, False, False, "start"),
    ("claimed", True, False, True, "start"),
    ("claimed", False, False, False, "start"),
    ("claimed", False, False, True, "start"),
    ("claimed", False, True, True, "conflict"),
    ("running", True, True, False, "adopt"),
    ("running", True, False, False, "nothing"),
    ("running", True, False, True, "nothing"),
    ("running", False, False, False, "lost"),
    ("running", False, False, True, "cold-start"),
    ("running", False, True, True, "conflict"),
    ("failed", True, False, True, "keep"),
    ("failed", False, False, True, "keep"),
    ("failed", False, True, False, "conflict"),
    ("unsaved", True, True, True, "nothing"),
    ("unsaved", True, False, True, "nothing"),
    ("unsaved", False, False, False, "lost"),
    ("unsaved", False, False, True, "cold-start"),
    ("unsaved", False, True, True, "conflict"),
    ("ended", True, False, True, "nothing"),
    ("ended", False, False, True, "nothing"),
    ("ended", False, True, True, "nothing"),
    ("acknowledged", True, True, False, "adopt"),
    ("acknowledged", True, False, True, "nothing"),
    ("acknowledged", False, False, False, "lost"),
    ("acknowledged", False, False, True, "cold-start"),
    ("acknowledged", False, True, True, "conflict"),
]


@pytest.mark.parametrize(("state", "same", "live", "cold", "action"), TABLE)
def test_what_may_be_done(state: str, same: bool, live: bool, cold: bool, action: str) -> None:
    found = claim(state, "this" if same else "another")
    assert _claim.decide(found, "m1", "this", live, cold) == action


@pytest.mark.parametrize(("same", "live", "cold"), list(itertools.product((True, False), (True, False), (True, False))))
@pytest.mark.parametrize("state", STATES)
def test_never_two_of_a_vm(state: str, same: bool, live: bool, cold: bool) -> None:
    """No second QEMU beside a live one, no memory restored twice."""
    action = _claim.decide(claim(state, "this" if same else "another"), "m1", "this", live, cold)
    if live:
        assert action not in ("start", "cold-start")
    if action == "start":
        assert state in ("saved", "claimed")
    if action == "cold-start":
        assert cold
        assert state in ("running", "acknowledged", "unsaved")


@pytest.mark.parametrize(("same", "live"), list(itertools.product((True, False), (True, False))))
@pytest.mark.parametrize("state", STATES)
def test_another_attempt_is_only_for_a_guest_that_never_ran(state: str, same: bool, live: bool) -> None:
    action = _claim.decide(claim(state, "this" if same else "another"), "m1", "this", live, False, again=True)
    assert (action == "start") is (state in ("saved", "claimed", "failed") and not live)


@pytest.mark.parametrize(("live", "action"), [(True, "conflict"), (False, "lost")])
def test_claim_of_another_manifest(live: bool, action: str) -> None:
    assert _claim.decide(claim(manifest="m0"), "m1", "old", live, True) == action


def test_no_claim() -> None:
    assert _claim.decide(None, "m1", "this", False, True) == "nothing"


def test_round_trip_on_disk(tmp_path: Path) -> None:
    assert _claim.load(str(tmp_path)) is None
    _claim.store(str(tmp_path), claim())
    assert _claim.load(str(tmp_path)) == claim()
    assert (tmp_path / "claim.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["claim.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 2, this version knows 3; finish that update with the version that saved the VM"),
        ({"schema": None}, "schema None, this version knows 3"),
        ({"state": "eaten"}, "'eaten' is no state"),
        ({"more": 1}, "not a claim"),
        ({"form": None}, "not a claim"),
    ],
)
def test_damaged_claims_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    _claim.store(str(tmp_path), claim())
    path = tmp_path / "claim.json"
    data = {**json.loads(path.read_text()), **change}
    if data["form"] is None:
        del data["form"]
    path.write_text(json.dumps(data))
    with pytest.raises(BadInputError, match=message):
        _claim.load(str(tmp_path))


def test_claim_that_others_could_have_written_is_refused(tmp_path: Path) -> None:
    _claim.store(str(tmp_path), claim())
    (tmp_path / "claim.json").chmod(0o660)
    with pytest.raises(BadInputError, match="mode 660"):
        _claim.load(str(tmp_path))
