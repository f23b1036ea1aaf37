# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/live_update.yml, with modules that play hosts.

The order of hosts, and what a later run does.

Each inventory host is a folder on this machine (connection local) with an interpreter of its own, which gives modules
and programs that folder. Real: the playbook, the role, filters, the action plugins. Played: what happens on a host.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow  # six runs of ansible-playbook
ROOT = Path(__file__).resolve().parents[3]
REAL = (
    "roles", "playbooks", "meta", "plugins/filter", "plugins/plugin_utils", "plugins/module_utils",
    "plugins/action/live_update_wait.py",
)  # fmt: skip
NEW = "6.12-new"
PF = "0000:03:00.0"

MODULE = '''#!/usr/bin/python
import json, os, time
from ansible.module_utils.basic import AnsibleModule
NAME = "%s"
folder = os.environ["FAKE_HOST"]
path = os.path.join(folder, "state.json")

def load():
    with open(path) as file:
        return json.load(file)

def store(state):
    with open(path, "w") as file:
        json.dump(state, file)

def advance(state):
    """Advance the host by one phase at each question."""
    phases = state["sequence"]
    if state["phase"] in phases[:-1] and state["started"]:
        state["phase"] = phases[phases.index(state["phase"]) + 1]
        state["log"].append(state["phase"])

def main():
    spec = {name: {"type": "raw"} for name in ("state", "kernel", "initrd", "command_line", "budget_s", "host", "vms",
            "options", "force", "dest")}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    state = load()
    if NAME == "live_update_info":
        if not module.params["kernel"]:
            advance(state)
        ended = state["phase"] in ("done", "aborted", "failed")
        answer = {
            "status": {"phase": state["phase"]} if state["phase"] else None, "run_unit": "inactive",
            "result": state["result"] if ended else None,
            "preflight": {"refusals": state["refusals"], "warnings": [], "kernel_before": state["kernel"],
                          "estimate": {"total": 12.5}},
        }
    else:
        wanted = module.params["state"]
        state["log"].append(wanted)
        if wanted == "armed":
            state["phase"] = "armed"
        elif wanted == "started":
            state["started"] = True
        elif wanted == "acknowledged":
            state["phase"] = None
        answer = {"phase": state["phase"]}
    store(state)
    module.exit_json(changed=NAME == "live_update", **answer)

main()
'''
PROGRAMS = {
    "journalctl": """case "$*" in
*kvmfleet-vm-*) cat "$FAKE_HOST/guest.log" ;;
*) echo "1000.0 $(basename "$FAKE_HOST") sriovctl: said" ;;
esac""",
    "systemctl": 'echo "$*" >>"$FAKE_HOST/systemctl"; echo active',
    "grub-editenv": "echo saved_entry=linux-old",
    "grub-set-default": 'echo "$*" >"$FAKE_HOST/boot_default"',
}
SEQUENCE = ["armed", "saving", "kexec", "resuming", "done"]


class Fleet:
    """Hosts below ``folder``; ``run`` runs the playbook on all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.collection = folder / "collections/ansible_collections/kvmfleet/sriov"
        for name in ("plugins/modules", "plugins/action"):
            (self.collection / name).mkdir(parents=True)
        self._action_plugin(folder / "sriovctl")
        for name in REAL:
            os.symlink(ROOT / name, self.collection / name)
        for name in ("live_update", "live_update_info", "node_program", "live_update_wait"):
            (self.collection / f"plugins/modules/{name}.py").write_text(MODULE % name)
        self.hosts: dict[str, dict[str, Any]] = {}

    def _action_plugin(self, program: Path) -> None:
        """Link the real action plugin, but for its destination.

        What it installs goes to ``program``: hosts are this machine.
        """
        text = (ROOT / "plugins/action/node_program.py").read_text()
        constant = "from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import PROGRAM\n"
        assert constant in text
        played = text.replace(constant, f"PROGRAM = {str(program)!r}\n")
        (self.collection / "plugins/action/node_program.py").write_text(played)

    def host(self, name: str, sequence: list[str] | None = None, phase: str | None = None, **changes: Any) -> None:  # noqa: ANN401 - keyword arguments of several types
        folder = self.folder / "hosts" / name
        (folder / "bin").mkdir(parents=True)
        for program, text in PROGRAMS.items():
            self._script(folder / "bin" / program, text)
        real = sys.executable
        self._script(folder / "python", f'export FAKE_HOST={folder} PATH={folder}/bin:"$PATH"; exec {real} "$@"')
        sequence = sequence or SEQUENCE
        outcome = {"done": "updated"}.get(sequence[-1], sequence[-1])
        state = {
            "phase": phase, "started": phase is not None, "sequence": sequence, "log": [],
            "refusals": [], "kernel": "6.12-old", "result": result(name, outcome), **changes,
        }  # fmt: skip
        (folder / "state.json").write_text(json.dumps(state))
        (folder / "manifest.json").write_text(json.dumps(manifest()))
        (folder / "status.json").write_text("{}")
        (folder / "result.json").write_text(json.dumps(state["result"]))
        lives = [f"{stamp}.0 h q: life n={stamp - 1000} boot=b1" for stamp in (1000, 1001, 1031)]
        (folder / "guest.log").write_text("\n".join(lives))
        (folder / "grubenv").write_text("")
        self.hosts[name] = {
            "ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": f"{folder}/python",
            "fake_folder": str(folder), "live_update_grub_folder": str(folder),
        }  # fmt: skip

    def run(self, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - keyword arguments of several types
        inventory = self.folder / "inventory.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": self.hosts, "vars": self._variables(variables)}}))
        environment = {
            **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_RETRY_FILES_ENABLED": "false",
        }  # fmt: skip
        folder = json.dumps({"live_update_folder": "{{ fake_folder }}"})
        program = Path(sys.executable).with_name("ansible-playbook")
        command = [program, "-i", inventory, "-e", folder, "kvmfleet.sriov.live_update"]
        return subprocess.run(
            [*map(str, command), *arguments], env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    def log(self, name: str) -> list[str]:
        return list(json.loads((self.folder / "hosts" / name / "state.json").read_text())["log"])

    def report(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "out/report.json").read_text()))

    def _variables(self, variables: dict[str, Any]) -> dict[str, Any]:
        vm = {"name": "web1", "heartbeat": {"journal_unit": "kvmfleet-vm-web1.service"}}
        return {
            "live_update_kernel": NEW, "live_update_report_dir": str(self.folder / "out"), "live_update_vms": [vm],
            "live_update_timeout_s": 60, "live_update_life_timeout_s": 4, **variables,
        }  # fmt: skip

    @staticmethod
    def _script(path: Path, text: str) -> None:
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)


def manifest() -> dict[str, Any]:
    return {"created": 1000.5, "vms": [{"name": "web1", "unit": "kvmfleet-vm-web1.service"}]}


def result(name: str, outcome: str) -> dict[str, Any]:
    error = None if outcome == "updated" else "VM web1: the guest refused"
    return {
        "host": name, "kernel_before": "6.12-old", "kernel_after": NEW, "interface": "vf-id", "pfs": [PF],
        "vfs_enabled": {PF: 7}, "used_ids": {PF: [6]}, "present_ids_at_first_restore": {PF: [6]},
        "present_ids_at_last_restore": {PF: [6]}, "vfs_present_at_end": {PF: 7}, "result": outcome, "error": error,
        "phases": [{"name": "saving", "start": 1001.0, "end": 1030.5}],
        "vms": [{"name": "web1", "vfs": ["0000:04:11.4"], "paused_at": 1001.5, "saved_at": 1002.0, "resumed_at": 1030.5,
                 "result": "restored", "error": None}],
    }  # fmt: skip


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_canary_then_the_rest_then_the_report(fleet: Fleet) -> None:
    for name in ("h1", "h2", "h3"):
        fleet.host(name)
    done = fleet.run("-e", "live_update_bless=true")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("h1", "h2", "h3"):
        assert fleet.log(name) == ["armed", "started", "saving", "kexec", "resuming", "done", "acknowledged"]
        assert "linux-6.12-new" in (fleet.folder / "hosts" / name / "boot_default").read_text()
    report = fleet.report()
    assert report["batches"] == [["h1"], ["h2", "h3"]]
    assert [host["result"] for host in report["hosts"]] == ["updated"] * 3
    assert report["hosts"][0]["vms"][0]["outage_s"] == 30.0
    assert "<svg" in (fleet.folder / "out/report.html").read_text()
    assert (fleet.folder / "out/evidence/h3/node.log").read_text()
    kept = sorted((fleet.folder / "out/evidence/h3").iterdir())
    assert {path.name: path.stat().st_mode & 0o777 for path in kept if path.name in ("node.log", "host.json")} == {
        "node.log": 0o600,
        "host.json": 0o600,
    }
    assert (fleet.folder / "out/evidence/h3").stat().st_mode & 0o777 == 0o700
    assert "outage 30.00 s, it went on, counter 1 -> 31" in done.stdout


def test_check_predicts_and_touches_nothing(fleet: Fleet) -> None:
    for name in ("h1", "h2"):
        fleet.host(name)
    done = fleet.run("--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "batch 1: h1" in done.stdout
    assert "h2: outage of about 12.5 s expected" in done.stdout
    assert (fleet.log("h1"), fleet.log("h2")) == ([], [])
    assert not (fleet.folder / "out").exists()


def test_one_refusal_stops_the_run_before_any_host_is_touched(fleet: Fleet) -> None:
    fleet.host("h1")
    fleet.host("h2", refusals=[{"code": "x", "problem": "PF a is in switchdev mode", "fix": "leave it out"}])
    done = fleet.run()
    assert done.returncode != 0
    assert "h2 cannot be updated. PF a is in switchdev mode: leave it out" in done.stdout
    assert (fleet.log("h1"), fleet.log("h2")) == ([], [])


@pytest.mark.parametrize("outcome", ["aborted", "failed"])
def test_a_canary_that_fails_keeps_the_others_untouched(fleet: Fleet, outcome: str) -> None:
    fleet.host("h1", sequence=["armed", "saving", outcome])
    fleet.host("h2")
    done = fleet.run()
    assert done.returncode != 0
    assert f"h1 {outcome}: VM web1: the guest refused" in done.stdout
    assert fleet.log("h2") == []
    assert ("acknowledged" in fleet.log("h1")) == (outcome == "aborted")
    assert fleet.report()["hosts"][0]["result"] == outcome


def test_an_update_that_was_begun_is_only_collected(fleet: Fleet) -> None:
    fleet.host("h1", phase="saving")
    fleet.host("h2", kernel=NEW)
    done = fleet.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert fleet.log("h1") == ["kexec", "resuming", "done", "acknowledged"]
    assert fleet.log("h2") == []
    assert [host["name"] for host in fleet.report()["hosts"]] == ["h1"]


def test_an_update_is_forgotten_last(fleet: Fleet) -> None:
    fleet.host("h1")
    program = fleet.folder / "hosts/h1/bin/grub-set-default"
    works = program.read_text()
    program.write_text("#!/bin/sh\nexit 1\n")
    assert fleet.run("-e", "live_update_bless=true").returncode != 0
    assert "acknowledged" not in fleet.log("h1")
    (fleet.folder / "out/report.json").unlink()
    program.write_text(works)
    done = fleet.run("-e", "live_update_bless=true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert fleet.log("h1")[-1] == "acknowledged"
    assert (fleet.folder / "hosts/h1/boot_default").exists()
    assert fleet.report()["hosts"][0]["result"] == "updated"
