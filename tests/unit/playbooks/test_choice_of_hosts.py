# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks that change kernels touch no host that nobody has chosen."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.fake.fleet.played import Fleet

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
VARIABLES = {
    "live_update": "live_update_hosts",
    "rehearse": "live_update_hosts",
    "kernel_deploy": "kernel_deploy_hosts",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["live_update", "rehearse"])
@pytest.mark.parametrize("words", [[], ["--tags", "no-such-tag"]], ids=["plain", "with tags"])
def test_an_inventory_is_no_choice(fleet: Fleet, name: str, words: list[str]) -> None:
    fleet.host("h1")
    fleet.playbook, fleet.chosen = name, []
    done = fleet.run(*words, live_update_rehearsal_mode="boot")
    assert done.returncode != 0, done.stdout
    assert "No host was chosen, so none was touched. Say which, with -e live_update_hosts=PATTERN" in done.stdout
    assert (fleet.log("h1"), "h1" in done.stdout) == ([], False)


@pytest.mark.slow
def test_a_limit_is_one(fleet: Fleet) -> None:
    for name in ("h1", "h2"):
        fleet.host(name)
    fleet.chosen = ["--limit", "h2"]
    done = fleet.run("--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "batch 1: h2" in done.stdout
    assert "h1" not in done.stdout


def test_the_first_plays_are_alike() -> None:
    """A play cannot come from a role: each playbook has it."""
    texts = {
        (PLAYBOOKS / f"{name}.yml").read_text().split("\n\n")[0].split("\n- name: ")[1].replace(variable, "HOSTS")
        for name, variable in VARIABLES.items()
    }
    assert len(texts) == 1, texts
    assert "HOSTS is defined or ansible_limit is defined" in texts.pop()


def test_qualify_needs_a_host_by_name() -> None:
    """A limit is none: all VFs of the PF come and go."""
    first, *plays = yaml.safe_load((PLAYBOOKS / "qualify.yml").read_text())
    (task,) = first["tasks"]
    others = yaml.safe_load((PLAYBOOKS / "rehearse.yml").read_text())[0]
    kept = {"hosts", "connection", "gather_facts", "tags"}
    assert {key: first[key] for key in kept} == {key: others[key] for key in kept}
    assert task["ansible.builtin.assert"]["that"] == "qualify_hosts is defined"
    assert {play["hosts"] for play in plays} == {"{{ qualify_hosts | default('all:!all') }}"}


def test_each_playbook_that_changes_much_is_held_here() -> None:
    asking = {
        path.stem for path in PLAYBOOKS.glob("*.yml") if yaml.safe_load(path.read_text())[0]["hosts"] == "localhost"
    }
    assert asking == {*VARIABLES, "qualify"}


@pytest.mark.parametrize("name", VARIABLES)
def test_each_play_on_hosts_has_the_same_choice(name: str) -> None:
    """Nobody chosen is nobody, also where the first play was skipped."""
    variable = VARIABLES[name]
    first, *plays = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text())
    (task,) = first["tasks"]
    assert (first["hosts"], first["tags"]) == ("localhost", ["always"])
    assert task["ansible.builtin.assert"]["that"] == f"{variable} is defined or ansible_limit is defined"
    chosen = f"{{{{ {variable} | default('all' if ansible_limit is defined else 'all:!all') }}}}"
    batches = f"{{{{ {variable} | default('all') if live_update_batches else 'all:!all' }}}}"
    assert {play["hosts"] for play in plays} <= {chosen, batches}
    assert plays[0]["hosts"] == chosen
