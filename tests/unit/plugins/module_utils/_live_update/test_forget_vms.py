# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single VMs of an update are forgotten by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import manifest_file, save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from tests.fake.linux.pf import FakePf
from tests.fake.vm.damaged import commands, damage
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import Killed, arm, claim, jump, killed, live, phase, result

NAMES = ("web1", "web2", "web3")


@pytest.fixture
def three(node: FakeNode, pf: FakePf) -> FakeNode:
    for number, name in enumerate(NAMES[1:], 2):
        node.vm(name, pf, number)
    return node


@pytest.fixture
def command(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    return commands(node, monkeypatch)


@pytest.fixture
def failed(three: FakeNode, command: Callable[..., int]) -> FakeNode:
    """An update after which web1 and web2 are still saved."""
    jump(three)
    for name in NAMES[:2]:
        three.scripts[name].incoming = "fails"
    assert command("resume") == 1
    return three


def kept(node: FakeNode) -> list[str]:
    return sorted(path.name for path in (Path(node.live.folder.path) / "vms").iterdir())


def test_a_vm_that_runs_is_forgotten_alone(failed: FakeNode, command: Callable[..., int]) -> None:
    """Its state frees its disk; those of others stay."""
    assert command("forget", vm=["web3"]) == 0
    assert kept(failed) == ["web1", "web2"]
    manifest = manifest_file.load(failed.live.folder.path)
    assert manifest is not None
    assert [vm.name for vm in manifest.vms] == ["web1", "web2"]
    assert live(failed, "web3").status == "running"
    for name in NAMES[:2]:
        failed.scripts[name].incoming = "ok"
    assert command("restore") == 0
    assert (phase(failed), [vm["result"] for vm in result(failed)["vms"]]) == ("done", ["restored"] * 3)
    assert command("forget") == 0


def test_a_vm_that_was_not_seen_to_run_is_not(failed: FakeNode, command: Callable[..., int]) -> None:
    with pytest.raises(RefusedError, match="saved states of web1 would be lost"):
        command("forget", vm=["web1", "web3"])
    assert kept(failed) == list(NAMES)


def test_the_memory_of_one_is_given_up_while_another_is_saved(failed: FakeNode, command: Callable[..., int]) -> None:
    """As the messages about one VM say; the other comes back."""
    assert command("forget", discard_memory=["web1"]) == 0
    assert kept(failed) == ["web2", "web3"]
    assert claim(failed, "web2").state == "failed"
    (aside,) = (failed.host.root / "var/lib/kvmfleet-sriov/discarded").iterdir()
    assert (aside / "state").stat().st_size > 0
    failed.scripts["web2"].incoming = "ok"
    assert command("restore") == 0
    assert (failed.live_vm("web1"), live(failed, "web2").status) == (None, "running")
    assert command("forget") == 0


@pytest.mark.parametrize("name", ["web9", "../web1", ""])
def test_a_name_that_is_none(failed: FakeNode, command: Callable[..., int], name: str) -> None:
    with pytest.raises(BadInputError, match="has no saved state here; there are: web1, web2"):
        command("forget", vm=[name])
    assert kept(failed) == list(NAMES)


def test_status_shows_what_is_kept_by_name(
    failed: FakeNode, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the result is lost, which has the table of VMs."""
    damage(failed, "result.json", b"")
    damage(failed, "vms/web2/claim.json", b"")
    capsys.readouterr()
    assert command("status") == 0
    shown = capsys.readouterr().out
    assert "kept of VMs: web1 (failed), web2 (its claim is damaged), web3 (acknowledged)" in shown


def test_nothing_is_forgotten_of_an_update_under_way(three: FakeNode, command: Callable[..., int]) -> None:
    arm(three)
    with killed(three, "discard"), pytest.raises(Killed):
        save.run(three.live)
    with pytest.raises(RefusedError, match="stopped in phase saved"):
        command("forget", discard_memory=["web1"])
    assert kept(three) == list(NAMES)


def test_the_last_one_leaves_an_update_that_can_be_forgotten(failed: FakeNode, command: Callable[..., int]) -> None:
    for names in (["web3"], ["web1"]):
        command("forget", vm=names, discard_memory=[name for name in names if name != "web3"])
    assert command("forget", vm=["web2"], discard_memory=["web2"]) == 0
    assert kept(failed) == []
    assert command("restore") in (0, 1)
    assert command("forget") == 0
