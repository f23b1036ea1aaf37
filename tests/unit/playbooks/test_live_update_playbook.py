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
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow  # runs of ansible-playbook
ROOT = Path(__file__).resolve().parents[3]
REAL = (
    "roles", "playbooks", "meta", "plugins/filter", "plugins/plugin_utils", "plugins/module_utils",
    "plugins/action/live_update_wait.py", "plugins/action/live_update_report.py",
    "plugins/modules/live_update_report.py", "plugins/action/live_update_verify.py",
    "plugins/modules/live_update_verify.py",
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

def go_away(state, moment):
    """Refuse so many of the commands that hold a word, from the end of this module on."""
    if moment == state["away_at"]:
        with open(os.path.join(folder, "away"), "w") as file:
            file.write(state["away_for"])

def advance(state):
    """Advance the host by one phase at each question."""
    phases = state["sequence"]
    if state["phase"] in phases[:-1] and state["started"]:
        state["phase"] = phases[phases.index(state["phase"]) + 1]
        state["log"].append(state["phase"])

def main():
    spec = {name: {"type": "raw"} for name in ("state", "kernel", "initrd", "command_line", "budget_s", "host", "vms",
            "options", "force", "dest", "owner", "take_over")}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    state = load()
    if NAME == "live_update_info":
        if module.params["kernel"]:
            go_away(state, "examined")
        else:
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
        go_away(state, wanted)
        if wanted == "started":
            assert module.params["kernel"] and module.params["owner"], module.params
            state["asked"].append([module.params[name] for name in ("kernel", "initrd", "command_line", "options")])
            if module.params["kernel"] == state["result"]["kernel_before"]:
                state["sequence"] = state["back"]
                state["result"].update(result={"done": "updated"}.get(state["back"][-1], state["back"][-1]))
            state["phase"], state["started"] = "armed", True
        elif wanted == "acknowledged":
            state["phase"] = None
        answer = {"phase": state["phase"]}
    store(state)
    module.exit_json(changed=NAME == "live_update", **answer)

main()
'''
BOOT_ENTRY = """#!/usr/bin/python
import os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={"default": {"type": "str"}, "allow_unproven": {"type": "bool"}})
folder = os.environ["FAKE_HOST"]
if os.path.exists(os.path.join(folder, "boot_entry_fails")):
    module.fail_json(msg="the boot loader is not known")
with open(os.path.join(folder, "boot_default"), "w") as file:
    file.write("%s %s" % (module.params["default"], module.params["allow_unproven"]))
module.exit_json(changed=True)
"""
PROGRAMS = {
    "journalctl": """case "$*" in
*kvmfleet-vm-*) cat "$FAKE_HOST/guest.log" ;;
*) echo "1000.0 $(basename "$FAKE_HOST") sriovctl: said" ;;
esac""",
    "systemctl": 'echo "$*" >>"$FAKE_HOST/systemctl"; echo active',
}
CONNECTION = '''
DOCUMENTATION = """
name: played
short_description: This machine, but for hosts that are away
description: Hosts with a file named away are away.
options:
  folder: {description: The host's., vars: [{name: fake_folder}], type: str}
"""
import os
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local

class Connection(Local):
    transport = "played"

    def exec_command(self, *words, **names):
        away = os.path.join(self.get_option("folder"), "away")
        if os.path.exists(away):
            with open(away) as file:
                left, word = file.read().split(" ", 1)
            if left != "0" and word in words[0]:
                with open(away, "w") as file:
                    file.write(f"{int(left) - 1} {word}")
                raise AnsibleConnectionFailure("no route to host")
        return super().exec_command(*words, **names)
'''
"""A connection that ends, as that of a host that is off."""
AWAY = "1000 "
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
        (self.collection / "plugins/modules/boot_entry.py").write_text(BOOT_ENTRY)
        (folder / "connection").mkdir()
        (folder / "connection/played.py").write_text(CONNECTION)
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
            "refusals": [], "kernel": "6.12-old", "result": result(name, outcome), "away_at": None,
            "away_for": AWAY, "asked": [], "back": SEQUENCE, **changes,
        }  # fmt: skip
        (folder / "state.json").write_text(json.dumps(state))
        (folder / "manifest.json").write_text(json.dumps(manifest()))
        (folder / "status.json").write_text("{}")
        (folder / "result.json").write_text(json.dumps(state["result"]))
        lives = [f"{stamp}.0 h q: life n={stamp - 1000} boot=b1" for stamp in (1000, 1001, 1031)]
        (folder / "guest.log").write_text("\n".join(["999.0 h q: the tenant's words", *lives]))
        self.hosts[name] = {
            "ansible_connection": "played", "ansible_become": False, "ansible_python_interpreter": f"{folder}/python",
            "fake_folder": str(folder),
        }  # fmt: skip

    def run(self, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - keyword arguments of several types
        inventory = self.folder / "inventory.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": self.hosts, "vars": self._variables(variables)}}))
        environment = {
            **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_HOME": str(self.folder / "home"), "ANSIBLE_CONNECTION_PLUGINS": str(self.folder / "connection"),
            "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_RETRY_FILES_ENABLED": "false",
        }  # fmt: skip
        folder = json.dumps({"live_update_folder": "{{ fake_folder }}"})
        program = Path(sys.executable).with_name("ansible-playbook")
        command = [program, "-i", inventory, "-e", folder, "kvmfleet.sriov.live_update"]
        return subprocess.run(
            [*map(str, command), *arguments], env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    def away(self, name: str) -> None:
        (self.folder / "hosts" / name / "away").write_text(AWAY)

    def log(self, name: str) -> list[str]:
        return list(json.loads((self.folder / "hosts" / name / "state.json").read_text())["log"])

    def report(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "out/latest/report.json").read_text()))

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
    part = {"argv": ["qemu-system-x86_64", "-object", "secret,id=s,data=hunter2"], "environment": {"TOKEN": "hunter2"}}
    vm = {"name": "web1", "unit": "kvmfleet-vm-web1.service", "part": part}
    kernel = {
        "release_before": "6.12-old", "release_after": NEW, "initrd_before": "/boot/initrd.img-6.12-old",
        "cmdline_before": "root=/dev/vda", "cmdline": "root=/dev/vda pci=sriov_keep_vfs panic=30 kvmfleet.update=0123",
    }  # fmt: skip
    return {
        "created": 1000.5,
        "kernel": kernel,
        "vms": [vm, {**vm, "name": "other", "unit": "kvmfleet-vm-other.service"}],
    }


def result(name: str, outcome: str) -> dict[str, Any]:
    error = None if outcome == "updated" else "VM web1: the guest refused"
    return {
        "manifest": "0123", "host": name, "kernel_before": "6.12-old", "kernel_after": NEW, "interface": "vf-id",
        "pfs": [PF],
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
    done = fleet.run("-v", "-e", "live_update_confirm_after_kexec=true")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("h1", "h2", "h3"):
        assert fleet.log(name) == ["started", "saving", "kexec", "resuming", "done", "acknowledged"]
        assert (fleet.folder / "hosts" / name / "boot_default").read_text() == "6.12-new True"
    report = fleet.report()
    assert report["batches"] == [["h1"], ["h2", "h3"]]
    assert [host["result"] for host in report["hosts"]] == ["updated"] * 3
    assert report["hosts"][0]["vms"][0]["outage_s"] == 30.0
    assert "<svg" in (fleet.folder / "out/latest/report.html").read_text()
    assert (fleet.folder / "out/latest/evidence/h3/node.log").read_text()
    for path in (fleet.folder / "out").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    (run,) = [path.name for path in (fleet.folder / "out").iterdir() if not path.is_symlink()]
    assert report["run"] == run
    assert report["hosts"][0]["update"] == "0123"
    assert "outage at least 30.00 s, resumed, VF not checked, counter 1 -> 31" in done.stdout
    kept = "".join(path.read_text() for path in (fleet.folder / "out").rglob("*.*") if path.is_file())
    for secret in ("hunter2", "the tenant's words", "TOKEN"):
        assert secret not in kept
        assert secret not in done.stdout


def test_a_vf_that_is_not_seen_fails_its_host(fleet: Fleet) -> None:
    """Later batches are not begun, and its states are not forgotten."""
    fleet.host("h1")
    fleet.host("h2")
    looked = fleet.folder / "looked"
    vms = [{"name": "web1", "check": {"command": ["touch", str(looked)], "within_s": 0.1}}]
    fleet.hosts["h2"]["live_update_vms"] = vms
    fleet.hosts["h1"]["live_update_vms"] = [{"name": "web1", "check": {"command": ["false"], "within_s": 0.1}}]
    done = fleet.run(live_update_serial=[1])
    assert done.returncode != 0
    words = "h1: VM web1 runs, its VF was not seen to work by command false on the controller: false ended with 1"
    assert words in done.stdout
    assert "acknowledged" not in fleet.log("h1")
    assert (fleet.log("h2"), looked.exists()) == ([], False)
    lost = fleet.report()["hosts"][0]
    assert (lost["result"], lost["vms"][0]["state"]) == ("failed", "resumed, VF not seen")
    assert words.split(": ", 1)[1] in lost["error"]
    fleet.hosts["h1"]["live_update_vms"] = vms
    done = fleet.run(live_update_serial=[1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert [fleet.log(name)[-1] for name in ("h1", "h2")] == ["acknowledged"] * 2
    states = [vm["state"] for host in fleet.report()["hosts"] for vm in host["vms"]]
    assert (states, looked.exists()) == (["went on"] * 2, True)


def test_check_predicts_and_touches_nothing(fleet: Fleet) -> None:
    for name in ("h1", "h2"):
        fleet.host(name)
    done = fleet.run("--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "batch 1: h1" in done.stdout
    assert "h2: outage of about 12.5 s expected" in done.stdout
    assert (fleet.log("h1"), fleet.log("h2")) == ([], [])
    assert not (fleet.folder / "out").exists()


@pytest.mark.parametrize(
    ("inventory", "arguments", "expected"),
    [
        ([2, "100%"], [], [["h1", "h2"], ["h3"]]),
        ([1], ["-e", "live_update_serial=2,100%"], [["h1", "h2"], ["h3"]]),
    ],
    ids=["a list of the inventory", "extra variables win"],
)
def test_batches_are_those_that_were_predicted(
    fleet: Fleet, inventory: object, arguments: list[str], expected: list[list[str]]
) -> None:
    """A play sees extra variables alone: the inventory's were predicted, not used."""
    for name in ("h1", "h2", "h3"):
        fleet.host(name)
    done = fleet.run(*arguments, live_update_serial=inventory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r'"batch \d+: (.*)"', done.stdout.split("PLAY [Update")[0]) == [
        ", ".join(one) for one in expected
    ]
    assert fleet.report()["batches"] == expected


def test_settings_of_one_host_alone_are_refused(fleet: Fleet) -> None:
    for name in ("h1", "h2"):
        fleet.host(name)
    fleet.hosts["h2"]["live_update_serial"] = [2]
    done = fleet.run()
    assert done.returncode != 0
    assert "live_update_serial is one setting of the whole run, and is" in done.stdout
    assert (fleet.log("h1"), fleet.log("h2")) == ([], [])


def test_skipped_hosts_do_not_stop_the_others(fleet: Fleet) -> None:
    """The canary is the first host that takes part."""
    for name in ("h1", "h2", "h3", "h4"):
        fleet.host(name)
    fleet.host("h5", refusals=[{"code": "x", "problem": "VM web1 is paused, not running", "fix": "let it run"}])
    fleet.away("h1")
    skip = {"live_update_on_refused": "skip", "live_update_on_unreachable": "skip", "live_update_answer_timeout_s": 2}
    done = fleet.run(**skip)
    assert done.returncode != 0
    assert "h1 unreachable: " in done.stdout
    assert "no route to host" in done.stdout
    assert "h5 refused: h5 cannot be updated. VM web1 is paused, not running: let it run" in done.stdout
    assert [fleet.log(name) for name in ("h1", "h5")] == [[], []]
    assert [fleet.log(name)[-1] for name in ("h2", "h3", "h4")] == ["acknowledged"] * 3
    report = fleet.report()
    assert report["batches"] == [["h2"], ["h3", "h4"]]
    assert [(host["name"], host["result"]) for host in report["hosts"]][:3] == [
        ("h1", "unreachable"),
        ("h5", "refused"),
        ("h2", "updated"),
    ]
    assert "no route to host" in report["hosts"][0]["error"]
    assert "VM web1 is paused" in report["hosts"][1]["error"]


def test_an_unreachable_host_stops_the_run_by_default(fleet: Fleet) -> None:
    for name in ("h1", "h2"):
        fleet.host(name)
    fleet.away("h2")
    done = fleet.run(live_update_answer_timeout_s=2, live_update_on_refused="skip")
    assert done.returncode != 0
    assert "No host is touched: h2 is unreachable, and live_update_on_unreachable is stop" in done.stdout
    assert fleet.log("h1") == []


def test_a_host_that_goes_away_while_it_is_armed_is_not_started(fleet: Fleet) -> None:
    """What it had armed before could be started otherwise."""
    fleet.host("h1", away_at="examined", away_for="1 AnsiballZ_live_update.py")
    fleet.host("h2")
    done = fleet.run()
    assert done.returncode != 0
    assert "h1 failed: the host went away while the update was armed" in done.stdout
    assert (fleet.log("h1"), fleet.log("h2")) == ([], [])


def test_syntax_and_hosts_are_known_before_any_host_is_asked(fleet: Fleet) -> None:
    """Editors and linters ask for them; there are no batches yet."""
    fleet.host("h1")
    for word in ("--syntax-check", "--list-hosts"):
        done = fleet.run(word)
        assert done.returncode == 0, done.stdout + done.stderr


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
    lost, later = fleet.report()["hosts"]
    assert (lost["name"], lost["result"], later["name"], later["result"]) == ("h1", outcome, "h2", "not begun")
    assert "VM web1: the guest refused" in lost["error"]


def test_an_update_that_was_begun_is_only_collected(fleet: Fleet) -> None:
    fleet.host("h1", phase="saving")
    fleet.host("h2", kernel=NEW)
    done = fleet.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert fleet.log("h1") == ["kexec", "resuming", "done", "acknowledged"]
    assert fleet.log("h2") == []
    assert [(host["name"], host["result"]) for host in fleet.report()["hosts"]] == [
        ("h1", "updated"),
        ("h2", "nothing to do"),
    ]


def test_an_update_is_forgotten_last(fleet: Fleet) -> None:
    fleet.host("h1")
    fails = fleet.folder / "hosts/h1/boot_entry_fails"
    fails.write_text("")
    assert fleet.run("-e", "live_update_confirm_after_kexec=true").returncode != 0
    assert "acknowledged" not in fleet.log("h1")
    (fleet.folder / "out/latest/report.json").unlink()
    fails.unlink()
    done = fleet.run("-e", "live_update_confirm_after_kexec=true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert fleet.log("h1")[-1] == "acknowledged"
    assert (fleet.folder / "hosts/h1/boot_default").exists()
    assert fleet.report()["hosts"][0]["result"] == "updated"


def test_a_host_that_is_lost_is_in_the_report_without_older_evidence(fleet: Fleet) -> None:
    """What an earlier run has kept is no evidence of this."""
    fleet.host("h1")
    assert fleet.run().returncode == 0
    first = fleet.report()
    state = fleet.folder / "hosts/h1/state.json"
    again = json.loads(state.read_text()) | {"started": False, "away_at": "started"}
    state.write_text(json.dumps(again))
    assert fleet.run(live_update_timeout_s=3).returncode != 0
    (lost,) = fleet.report()["hosts"]
    assert (lost["result"], lost["vms"], lost["kernel_after"]) == ("failed", [], None)
    assert "the host went away while the update was armed" in lost["error"]
    assert fleet.report()["run"] != first["run"]
    kept = json.loads((fleet.folder / "out" / first["run"] / "report.json").read_text())
    assert kept == first


def test_a_run_with_nothing_to_do_changes_nothing(fleet: Fleet) -> None:
    """The report of the run before stays the latest."""
    for name in ("h1", "h2"):
        fleet.host(name, kernel=NEW)
    done = fleet.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"changed=(\d+)", done.stdout) == ["0", "0"]
    assert "h2: nothing to do" in done.stdout
    assert not (fleet.folder / "out").exists()


UNWELL = {"live_update_health_commands": [["false"]], "live_update_serial": [1]}
THERE = ["started", "saving", "kexec", "resuming", "done"]


def reason(fleet: Fleet) -> str:
    """Why h1 failed; h2 must not be begun."""
    first, second = fleet.report()["hosts"]
    assert (first["name"], first["result"], second["result"]) == ("h1", "failed", "not begun")
    assert fleet.log("h2") == []
    return str(first["error"])


def test_a_host_that_is_not_well_goes_back_at_once(fleet: Fleet) -> None:
    """With the kernel, initrd and command line before; a second outage."""
    fleet.host("h1")
    fleet.host("h2")
    done = fleet.run(**UNWELL, live_update_rollback="now")
    assert done.returncode != 0
    assert fleet.log("h1") == [*THERE, "acknowledged", *THERE, "acknowledged"]
    asked = json.loads((fleet.folder / "hosts/h1/state.json").read_text())["asked"]
    assert asked == [
        [NEW, "auto", "", {"rollback": "now"}],
        ["6.12-old", "/boot/initrd.img-6.12-old", "-pci=sriov_keep_vfs", {}],
    ]
    assert "it went back to kernel 6.12-old, and its VMs run there: that was a second outage" in reason(fleet)
    run = fleet.folder / "out/latest"
    for folder in ("way-back-h1", "evidence/h1"):
        assert json.loads((run / folder / "result.json").read_text())["host"] == "h1"
    assert (run / "way-back-h1").stat().st_mode & 0o777 == 0o700


def test_a_way_back_that_fails_is_said_and_not_forgotten(fleet: Fleet) -> None:
    fleet.host("h1", back=["armed", "saving", "aborted"])
    fleet.host("h2")
    assert fleet.run(**UNWELL, live_update_rollback="now").returncode != 0
    assert fleet.log("h1") == [*THERE, "acknowledged", "started", "saving", "aborted"]
    assert "it did not go back to kernel 6.12-old: the way back aborted" in reason(fleet)


def test_a_window_keeps_the_host_until_somebody_goes_back(fleet: Fleet) -> None:
    refusal = {"code": "in-progress", "problem": "an earlier live update is in phase done", "fix": "finish it"}
    fleet.host("h1")
    fleet.host("h2")
    assert fleet.run(**UNWELL, live_update_rollback="window").returncode != 0
    assert fleet.log("h1") == THERE
    said = reason(fleet)
    assert "it waits for a window, on kernel 6.12-new with its VMs; to go back to 6.12-old, with an outage of" in said
    assert "12.5 s, run the playbook again with --limit h1 -e live_update_rollback=now" in said
    state = fleet.folder / "hosts/h1/state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"refusals": [refusal]}))
    done = fleet.run("--limit", "h1", "-e", "live_update_rollback=now", **UNWELL)
    assert done.returncode != 0
    assert fleet.log("h1") == [*THERE, "acknowledged", *THERE, "acknowledged"]


def test_a_host_that_goes_away_in_its_checks_is_not_moved(fleet: Fleet) -> None:
    """Nobody knows whether it is well."""
    fleet.host("h1")
    fleet.host("h2")
    (fleet.folder / "gone").write_text(AWAY)
    leave = ["cp", str(fleet.folder / "gone"), str(fleet.folder / "hosts/h1/away")]
    done = fleet.run(**{**UNWELL, "live_update_health_commands": [leave, ["true"]]}, live_update_rollback="now")
    assert done.returncode != 0
    assert fleet.log("h1") == THERE
    assert "the host went away while its health was checked" in reason(fleet)


def test_by_default_a_host_that_is_not_well_stays(fleet: Fleet) -> None:
    fleet.host("h1")
    fleet.host("h2")
    assert fleet.run(**UNWELL).returncode != 0
    assert fleet.log("h1") == THERE
    assert "it stays on kernel 6.12-new with its VMs (live_update_rollback is report)" in reason(fleet)
