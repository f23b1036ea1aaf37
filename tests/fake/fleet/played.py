# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of played hosts, for the live update's real playbooks.

Each inventory host is a folder on this machine (connection local) with an interpreter of its own, which gives modules
and programs that folder. Real: the playbook, the role, filters, the action plugins. Played: what happens on a host.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from ..tools import warm_python

ROOT = Path(__file__).resolve().parents[3]
REAL = (
    "roles", "playbooks", "meta", "plugins/filter", "plugins/plugin_utils", "plugins/module_utils",
    "plugins/action/live_update_wait.py", "plugins/action/live_update_report.py",
    "plugins/modules/live_update_report.py", "plugins/action/live_update_verify.py",
    "plugins/modules/live_update_verify.py",
)  # fmt: skip
PLAYED = (
    "live_update", "live_update_info", "live_update_rehearsal", "live_update_rehearsal_boot", "live_update_wait",
    "node_program",
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
            "options", "force", "dest", "owner", "take_over", "stay_reserved", "count", "vm_mib", "size_mib",
            "accelerator")}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    state = load()
    moment = module.params["state"] or ("examined" if module.params["kernel"] else "asked")
    if moment == state.get("hangs_at"):
        time.sleep(60)
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
                          "kernel_runs": state["kernel"] == module.params["kernel"],
                          "estimate": {"total": 12.5}, "estimate_vms": state.get("estimates", []),
                          "moves": state.get("moves", []), "moves_s": 30.0},
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
            if state["phase"] == "armed" and state["refuses"] == module.params["kernel"]:
                state["phase"] = None
                store(state)
                module.fail_json(msg="refused here", kind="RefusedError")
            state["reserved"].append(True)
        elif wanted == "moved":
            if state.get("stays"):
                store(state)
                module.fail_json(msg="VM web1: no host has room; it stays here, with its VFs")
            store(state)
            module.exit_json(changed=True, moved=[one["name"] for one in state["moves"]])
        elif wanted in ("acknowledged", "cancelled", "finished", "absent"):
            state["phase"] = None
            state["reserved"].append(module.params["stay_reserved"] in (True, "True"))
        answer = {"phase": state["phase"]}
        if wanted == "finished":
            store(state)
            if state["differs"]:
                module.fail_json(msg="VM rehearsal-1: its memory is not what it was")
            answer["rehearsal"] = {"boots": {"6.12": {"seconds": 4.25}}}
    store(state)
    module.exit_json(changed=NAME == "live_update", **answer)

main()
'''
BOOT_ENTRY = """#!/usr/bin/python
import os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={
    "default": {"type": "str"}, "allow_unproven": {"type": "bool"}, "running": {"type": "bool"},
})
folder = os.environ["FAKE_HOST"]
if os.path.exists(os.path.join(folder, "boot_entry_fails")):
    module.fail_json(msg="the boot loader is not known")
with open(os.path.join(folder, "boot_default"), "w") as file:
    file.write("%(default)s %(allow_unproven)s %(running)s" % module.params)
module.exit_json(changed=True)
"""
PROGRAMS = {
    "journalctl": """case "$*" in
*kvmfleet-vm-*) cat "$FAKE_HOST/guest.log" ;;
*) echo "1000.0 $(basename "$FAKE_HOST") sriovctl: said" ;;
esac""",
    "sriovctl": 'echo "$*" >>"$FAKE_HOST/sriovctl"; echo "$*" >>"$FAKE_HOST/../../said"',
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
        self.folder, self.playbook = folder, "live_update"
        self.chosen, self.inject_facts = ["-e", "live_update_hosts=all"], "False"
        self.collection = folder / "collections/ansible_collections/kvmfleet/sriov"
        for name in ("plugins/modules", "plugins/action"):
            (self.collection / name).mkdir(parents=True)
        self._action_plugin(folder / "sriovctl")
        for name in REAL:
            os.symlink(ROOT / name, self.collection / name)
        for name in PLAYED:
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
        own = f'export FAKE_HOST={folder} PATH={folder}/bin:"$PATH"'
        self._script(folder / "python", f"{own}\n{warm_python.script()}")
        sequence = sequence or SEQUENCE
        outcome = {"done": "updated"}.get(sequence[-1], sequence[-1])
        state = {
            "phase": phase, "started": phase is not None, "sequence": sequence, "log": [],
            "refusals": [], "kernel": "6.12-old", "result": result(name, outcome), "away_at": None,
            "away_for": AWAY, "asked": [], "back": SEQUENCE, "differs": False, "reserved": [], "refuses": None,
            "hangs_at": None,
            **changes,
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
            "ANSIBLE_PIPELINING": "true", **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_HOME": str(self.folder / "home"), "ANSIBLE_CONNECTION_PLUGINS": str(self.folder / "connection"),
            "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_RETRY_FILES_ENABLED": "false",
            "ANSIBLE_INJECT_FACT_VARS": self.inject_facts,
        }  # fmt: skip
        folder = json.dumps(
            {"live_update_folder": "{{ fake_folder }}", "live_update_program": "{{ fake_folder }}/bin/sriovctl"}
        )
        command = [*warm_python.playbook(self.folder / "collections"), "-i", str(inventory), "-e", folder]
        command.append(f"kvmfleet.sriov.{self.playbook}")
        return subprocess.run(
            [*command, *self.chosen, *arguments],
            env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def away(self, name: str) -> None:
        (self.folder / "hosts" / name / "away").write_text(AWAY)

    def log(self, name: str) -> list[str]:
        return list(json.loads((self.folder / "hosts" / name / "state.json").read_text())["log"])

    def report(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "out/latest/report.json").read_text()))

    def _variables(self, variables: dict[str, Any]) -> dict[str, Any]:
        vm = {"name": "web1", "heartbeat": {"journal_unit": "kvmfleet-vm-web1.service"}}
        found = {
            "live_update_kernel": NEW, "live_update_report_dir": str(self.folder / "out"), "live_update_vms": [vm],
            "live_update_timeout_s": 60, "live_update_life_timeout_s": 4, **variables,
        }  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}

    @staticmethod
    def _script(path: Path, text: str) -> None:
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)


def manifest() -> dict[str, Any]:
    part = {"argv": ["qemu-system-x86_64", "-object", "secret,id=s,data=hunter2"], "environment": {"TOKEN": "hunter2"}}
    vm = {"name": "web1", "backend": "qemu", "unit": "kvmfleet-vm-web1.service", "part": part}
    kernel = {
        "release_before": "6.12-old", "release_after": NEW, "initrd_before": "/boot/initrd.img-6.12-old",
        "cmdline_before": "root=/dev/vda", "cmdline": "root=/dev/vda pci=sriov_keep_vfs panic=30 kvmfleet.update=0123",
    }  # fmt: skip
    return {
        "created": 1000.5,
        "kernel": kernel,
        "vms": [
            vm,
            {**vm, "name": "other", "unit": "kvmfleet-vm-other.service"},
            {**vm, "name": "db1", "backend": "libvirt", "unit": "machine-qemu-1-db1.scope"},
        ],
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
