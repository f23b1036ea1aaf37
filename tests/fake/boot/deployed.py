# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine as a host that a kernel is deployed to.

Real: the role and Ansible. Played: boot loader, dpkg, systemd, reboots; all hosts of an inventory are one.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

ROOT = Path(__file__).resolve().parents[3]
OLD, NEW = "6.1.0-18-amd64", "6.12.9-kvmfleet1"
BOOT_ENTRY = """#!/usr/bin/python
import json, os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
HOST = os.environ["FAKE_HOST"]
with open(os.path.join(HOST, "boot.json")) as file:
    answer = json.load(file)
kept = os.path.join(HOST, "wanted.json")
wanted = json.load(open(kept)) if os.path.exists(kept) else None
if "unknown" in answer:
    module.fail_json(msg=answer["unknown"])
with open(os.path.join(HOST, "asked"), "a") as file:
    file.write("%s %s\\n" % (module.params["default"], module.params["allow_unproven"]))
release = module.params["default"]
if release and not module.check_mode:
    start = {"entry": release, "kernel": "/boot/vmlinuz-" + release, "release": release, "pinned": True, "missing": []}
    answer.update(default=start, next=start)
    with open(os.path.join(HOST, "boot.json"), "w") as file:
        json.dump(answer, file)
if not module.check_mode and (release or (module.params["keep"] and wanted is None)):
    wanted = {"kernel": answer["default"]["kernel"], "release": answer["default"]["release"]}
    with open(kept, "w") as file:
        json.dump(wanted, file)
module.exit_json(changed=bool(release), wanted=wanted, **answer)
"""
BOOT_TRIAL = """#!/usr/bin/python
import json, os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
HOST = os.environ["FAKE_HOST"]
def load(name, other):
    path = os.path.join(HOST, name)
    return json.load(open(path)) if os.path.exists(path) else other
state = module.params["state"]
if state != "read":
    with open(os.path.join(HOST, "acts"), "a") as file:
        file.write("%s\\n" % state)
    with open(os.path.join(HOST, "trial.json"), "w") as file:
        json.dump({"phase": state, "reason": "", "release": module.params["release"]}, file)
found = load("trial.json", None)
runs = open(os.path.join(HOST, "running")).read().strip() != "OLD"
module.exit_json(changed=state != "read", trial=found, runs=runs, vms=load("vms.json", []))
""".replace("OLD", OLD)
NODE_PROGRAM = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
AnsibleModule(argument_spec={}, supports_check_mode=True).exit_json(changed=False)
"""
PLAYED = """
from ansible.plugins.connection.local import Connection as Local
DOCUMENTATION = 'name: played\\nshort_description: this machine, by another name\\ndescription: it\\nauthor: me\\n'
class Connection(Local):
    transport = "kvmfleet.sriov.played"
"""
"""`reboot` refuses a local connection."""
SHOWN = "Id=x\\nLoadState=loaded\\nActiveState=inactive\\nUnitFileState=disabled"
KERNEL_CHECK = """#!/usr/bin/python
import json, os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
here = os.environ["FAKE_HOST"]
problems = os.path.join(here, "problems-%s" % module.params["before"])
if os.path.exists(problems):
    with open(problems) as file:
        module.fail_json(msg=file.read())
there = {name: os.path.exists(os.path.join(here, name)) for name in ("installed", "damaged", "interrupted")}
module.exit_json(
    changed=False, installed=there["installed"] and not there["damaged"], packages_installed=there["installed"],
    initrd="", running="", interrupted=there["interrupted"]
)
"""
PROGRAMS = {
    "uname": 'cat "$FAKE_HOST/running"',
    "dpkg-query": """case "$1 $2" in
--search*) echo "linux-image-6.1.0-18-amd64:amd64, linux-base+x: /boot/vmlinuz-6.1.0-18-amd64";;
*Version*) cat "$FAKE_HOST/installed" 2>/dev/null || exit 1;;
*) cut -d' ' -f1,3 "$FAKE_HOST/installed" 2>/dev/null || exit 1;;
esac""",
    "apt-get": """printf '%s|' "$@" "$DEBIAN_FRONTEND" "$NEEDRESTART_SUSPEND" >>"$FAKE_HOST/apt"
case "$*" in
*update) exit 0;;
*download*) cp "$FAKE_HOST/repository.deb" "linux-image_1_amd64.deb"; exit;;
esac
echo "--install $*" >>"$FAKE_HOST/dpkg.log"
exec sh "$FAKE_HOST/dpkg.sh\"""",
    "dpkg": """echo "$@" >>"$FAKE_HOST/dpkg.log"
case $1 in
--remove)
  rm -f "$FAKE_HOST/installed"
  test ! -e "$FAKE_HOST/before.json" || cp "$FAKE_HOST/before.json" "$FAKE_HOST/boot.json";;
esac""",
    "systemctl": 'echo "$@" >>"$FAKE_HOST/systemctl.log"; '
    f'case $1 in show) printf "{SHOWN}";; is-enabled) exit 1;; esac',
}


def start(release: str, pinned: bool = True, missing: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "entry": release, "kernel": f"/boot/vmlinuz-{release}", "release": release, "pinned": pinned,
        "missing": list(missing),
    }  # fmt: skip


def argument_spec(name: str) -> dict[str, Any]:
    """Return the arguments of the real module, for the played one."""
    real = importlib.import_module(f"ansible_collections.kvmfleet.sriov.plugins.modules.{name}")
    with (
        mock.patch.object(real, "AnsibleModule", side_effect=StopIteration) as built,
        contextlib.suppress(StopIteration),
    ):
        real.main()
    spec: dict[str, Any] = built.call_args.kwargs["argument_spec"]
    return spec


class Host:
    """This machine as a host below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hosts = ["h1"]
        collection = folder / "collections/ansible_collections/kvmfleet/sriov"
        (collection / "plugins/modules").mkdir(parents=True)
        for name in ("roles", "playbooks", "meta", "plugins/module_utils", "plugins/filter", "plugins/plugin_utils"):
            (collection / name).symlink_to(ROOT / name)
        modules = {
            "boot_entry": BOOT_ENTRY,
            "boot_trial": BOOT_TRIAL,
            "node_program": NODE_PROGRAM,
            "kernel_check": KERNEL_CHECK,
        }
        for name, text in modules.items():
            path = collection / f"plugins/modules/{name}.py"
            if "=SPEC" in text:  # node_program is an action of the controller, and has no arguments here
                text = text.replace("=SPEC", f"={argument_spec(name)!r}")
            path.write_text(text)
        (collection / "plugins/connection").mkdir()
        (collection / "plugins/connection/played.py").write_text(PLAYED)
        (folder / "bin").mkdir()
        for name, text in PROGRAMS.items():
            self._script(folder / "bin" / name, text)
        self._script(
            folder / "python", f'export FAKE_HOST={folder} PATH={folder}/bin:"$PATH"; exec {sys.executable} "$@"'
        )
        package = folder / "linux-image.deb"
        package.write_bytes(b"package")
        manifest = {
            "schema": 1, "release": NEW, "key": "0123456789abcdef",
            "image": {"file": str(folder / "vmlinuz"), "sha256": hashlib.sha256(b"kernel").hexdigest()},
            "packages": [{"name": "linux-image", "version": "1", "file": package.name,
                          "sha256": hashlib.sha256(b"package").hexdigest()}],
        }  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps(manifest))
        self.boots(start(OLD))
        self.dpkg()
        self.rebooted_into(NEW)
        (folder / "running").write_text(f"{OLD}\n")
        (folder / "boot_id").write_text("b0\n")

    def _script(self, path: Path, text: str) -> None:
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def boots(
        self, default: dict[str, Any], following: dict[str, Any] | None = None, updated: dict[str, Any] | None = None
    ) -> None:
        answer = {"default": default, "next": following or default, "after_update": updated and {"default": updated}}
        (self.folder / "boot.json").write_text(json.dumps(answer))

    def dpkg(self, boots: dict[str, Any] | None = None, status: int = 0) -> None:
        """Set what installing does to image, database and boot loader."""
        lines = [f"printf kernel >{self.folder}/vmlinuz", f"cp {self.folder}/tries {self.folder}/counted 2>/dev/null"]
        if status == 0:
            lines.append(f"echo linux-image 1 installed >{self.folder}/installed")
        else:
            lines.append(f"echo linux-image 1 half-configured >{self.folder}/installed")
        if boots is not None:
            (self.folder / "after.json").write_text(json.dumps({"default": boots, "next": boots, "after_update": None}))
            lines.append(f"cp {self.folder}/boot.json {self.folder}/before.json")
            lines.append(f"cp {self.folder}/after.json {self.folder}/boot.json")
        (self.folder / "dpkg.sh").write_text("\n".join([*lines, f"echo hook failed >&2; exit {status}"]))

    def rebooted_into(self, release: str, phase: str = "healthy") -> None:
        """Set what a reboot starts, and what the guard says then."""
        trial = json.dumps({"phase": phase, "reason": "played", "release": NEW})
        lines = [f"echo {release} >{self.folder}/running", f"echo b1 >{self.folder}/boot_id"]
        lines.append(f"test ! -e {self.folder}/trial.json || echo '{trial}' >{self.folder}/trial.json")
        self._script(self.folder / "reboot", "\n".join(["echo x >>" + str(self.folder / "reboots"), *lines]))

    def texts(self, name: str) -> list[str]:
        """Lines of a file of the host, none without it."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def run(self, *arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
        inventory = self.folder / "inventory.yml"
        host = {"ansible_connection": "kvmfleet.sriov.played", "ansible_become": False}
        host["ansible_python_interpreter"] = f"{self.folder}/python"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": dict.fromkeys(self.hosts, host)}}))
        wanted = {
            "kernel_deploy_manifest": f"{self.folder}/manifest.json", "kernel_deploy_staging": f"{self.folder}/staging",
            "kernel_deploy_apt_settings": f"{self.folder}/apt.conf", "kernel_deploy_ledger": f"{self.folder}/ledger",
            "kernel_deploy_path": f"{self.folder}/bin:/usr/bin:/bin",
            "kernel_deploy_reboot_required": f"{self.folder}/reboot-required",
            "kernel_deploy_tries": f"{self.folder}/tries", "kernel_deploy_counting": f"{self.folder}/counting",
            "kernel_deploy_drained": f"{self.folder}/drained", "kernel_deploy_poll": 1,
            "kernel_deploy_units": f"{self.folder}", "kernel_deploy_reboot_command": f"{self.folder}/reboot",
            "kernel_deploy_boot_time_command": f"cat {self.folder}/boot_id", "kernel_deploy_reboot_s": 60,
            "ansible_become": False, **variables,
        }  # fmt: skip
        environment = {
            **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"), "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(self.folder / "home"), "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INJECT_FACT_VARS": "False",
            "ANSIBLE_PIPELINING": "true", "ANSIBLE_ASYNC_DIR": str(self.folder / "async"),
        }  # fmt: skip
        program = Path(sys.executable).with_name("ansible-playbook")
        command = [str(program), "-i", str(inventory), "-e", json.dumps(wanted), "kvmfleet.sriov.kernel_deploy"]
        return subprocess.run(
            [*command, *arguments], env=environment, cwd=self.folder, capture_output=True, text=True, timeout=1200
        )

    @property
    def installed(self) -> bool:
        return (self.folder / "installed").exists()
