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
import re
import signal
import subprocess
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from ..tools import warm_python
from .deployed_programs import (
    BOOT_ENTRY,
    BOOT_TRIAL,
    KERNEL_CHECK,
    NEW,
    NODE_PROGRAM,
    OLD,
    PLAYED,
    PROGRAMS,
)  # fmt: skip

__all__ = ["NEW", "OLD", "Host", "changed", "start"]
ROOT = Path(__file__).resolve().parents[3]


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


def changed(output: str, host: str = "h1") -> int:
    """Changes of a host, by the recap of a run."""
    (number,) = re.findall(rf"\b{host}\s+: ok=\d+\s+changed=(\d+)", output)
    return int(number)


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
        (collection / "plugins/modules/node_files.py").symlink_to(ROOT / "plugins/modules/node_files.py")
        (collection / "plugins/connection").mkdir()
        (collection / "plugins/connection/played.py").write_text(PLAYED)
        (folder / "bin").mkdir()
        for name, text in PROGRAMS.items():
            self._script(folder / "bin" / name, text)
        own = f'export FAKE_HOST={folder} PATH={folder}/bin:"$PATH"'
        self._script(folder / "python", f"{own}\n{warm_python.script()}")
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
        self, default: dict[str, Any], following: dict[str, Any] | None = None, failing: dict[str, Any] | None = None
    ) -> None:
        answer = {"default": default, "next": following or default, "on_failure": failing, "after_update": None}
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
            "kernel_deploy_programs": f"{self.folder}/programs",
            "kernel_deploy_reboot_required": f"{self.folder}/reboot-required",
            "kernel_deploy_tries": f"{self.folder}/tries", "kernel_deploy_counting": f"{self.folder}/counting",
            "kernel_deploy_drained": f"{self.folder}/drained", "kernel_deploy_poll": 1,
            "kernel_deploy_units": f"{self.folder}", "kernel_deploy_reboot_command": f"{self.folder}/reboot",
            "kernel_deploy_boot_time_command": f"cat {self.folder}/boot_id", "kernel_deploy_reboot_s": 60,
            "ansible_become": False, "kernel_deploy_hosts": "all", **variables,
        }  # fmt: skip
        wanted = {name: value for name, value in wanted.items() if value is not None}
        environment = {
            **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"), "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(self.folder / "home"), "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INJECT_FACT_VARS": "False",
            "ANSIBLE_PIPELINING": "true", "ANSIBLE_ASYNC_DIR": str(self.folder / "async"),
        }  # fmt: skip
        command = [*warm_python.playbook(self.folder / "collections"), "-i", str(inventory), "-e", json.dumps(wanted)]
        command += ["kvmfleet.sriov.kernel_deploy", *arguments]
        with subprocess.Popen(
            command, env=environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        ) as play:  # fmt: skip
            (self.folder / "controller").write_text(str(play.pid))
            output, errors = play.communicate(timeout=1200)
        return subprocess.CompletedProcess(command, play.returncode, output, errors)

    def end(self) -> None:
        """End workers of a controller that lost its power."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"{self.folder}/".encode() in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)

    @property
    def installed(self) -> bool:
        return (self.folder / "installed").exists()
