# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder as the root of the real apt and dpkg.

Command lines are those of role kernel_deploy. A package's hook after installing does what is in `hook`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).resolve().parents[3] / "roles/kernel_deploy"
FOLDERS = (
    "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/lib/apt/lists/partial", "var/log/apt",
    "var/cache/apt/archives/partial", "etc/apt/apt.conf.d", "etc/apt/sources.list.d", "etc/apt/preferences.d", "run",
)  # fmt: skip
HOLD = "import fcntl,sys,time; f=open(sys.argv[1],'w'); fcntl.lockf(f,fcntl.LOCK_EX); print(1,flush=1); input()"


def trusted(value: object) -> object:
    """Return a value of a role's, with its texts as templates."""
    if isinstance(value, dict):
        return {name: trusted(one) for name, one in value.items()}
    if isinstance(value, list):
        return [trusted(one) for one in value]
    return trust_as_template(value) if isinstance(value, str) else value


class AptRoot:
    """A root below ``folder``; ``names``: packages of the kernel."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.root = folder / "root"
        self.asking = self.root / "run/reboot-required"
        self.hook = folder / "hook"
        self.hook.write_text("")
        for name in FOLDERS:
            (self.root / name).mkdir(parents=True)
        for name in ("status", "available"):
            (self.root / "var/lib/dpkg" / name).write_text("")
        texts = {}
        for file in ("defaults", "vars"):
            texts.update(yaml.safe_load((ROLE / file / "main.yml").read_text()))
        packages = [{"name": name, "file": f"{name}.deb", "version": "1"} for name in names]
        self.variables = {
            **{name: trusted(text) for name, text in texts.items()}, "kernel_deploy_folder": str(folder),
            "kernel_deploy_wanted": {"packages": packages}, "kernel_deploy_reboot_required": str(self.asking),
            "kernel_deploy_lock_timeout": 20,
        }  # fmt: skip
        self.folder = folder
        self.dpkg = [f"--root={self.root}", "--force-script-chrootless", "--force-not-root"]
        for name in names:
            self.package(name)

    def role(self, name: str) -> Any:  # noqa: ANN401 - what the role has there
        """Return a variable of the role."""
        return Templar(DataLoader(), variables=self.variables).template(trust_as_template("{{ " + name + " }}"))

    def task(self, file: str, number: int, key: str) -> Any:  # noqa: ANN401 - what the role has there
        """Return an argument of a role's task; ``key``: `module.argument`."""
        task = yaml.safe_load((ROLE / "tasks" / file).read_text())[number]
        module, _dot, argument = key.rpartition(".")
        own = {name: trusted(text) for name, text in task.get("vars", {}).items()}
        found = Templar(DataLoader(), variables={**self.variables, **own})
        return found.template(trusted(task[module][argument]))

    def package(self, name: str, fields: str = "", files: Sequence[str] = ()) -> Path:
        tree = self.folder / f"tree-{name}"
        (tree / "DEBIAN").mkdir(parents=True)
        text = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: a <a@a.example>\nDescription: d\n{fields}"
        (tree / "DEBIAN/control").write_text(text)
        for file in files:
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            (tree / file).write_text("")
        hook = tree / "DEBIAN/postinst"
        hook.write_text(f"#!/bin/sh\nexport DPKG_MAINTSCRIPT_PACKAGE\n. {self.hook}\n")
        hook.chmod(0o755)
        target = self.folder / f"{name}.deb"
        subprocess.run(["dpkg-deb", "--build", tree, target], check=True, capture_output=True)
        return target

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the role's tasks do."""
        more = {"dpkg": self.dpkg, "dpkg-query": [f"--admindir={self.root}/var/lib/dpkg"]}.get(argv[0], [])
        command = [*self.role("kernel_deploy_patient"), argv[0], *more, *argv[1:]]
        environment = {**os.environ, **self.role("kernel_deploy_environment"), "APT_CONFIG": str(self.settings())}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    def settings(self) -> Path:
        """Return the file by which apt reads the root's settings alone."""
        rows = {
            "Dir": self.root, "Dir::State::status": self.root / "var/lib/dpkg/status",
            "Dir::Bin::methods": "/usr/lib/apt/methods", "Dir::Bin::dpkg": "/usr/bin/dpkg",
        }  # fmt: skip
        text = [f'{name} "{value}";' for name, value in rows.items()]
        file = self.folder / "first.conf"
        file.write_text("\n".join([*text, *(f'DPkg::Options:: "{word}";' for word in self.dpkg), ""]))
        return file

    def install(self) -> subprocess.CompletedProcess[str]:
        return self.run(*self.role("kernel_deploy_apt"), *self.role("kernel_deploy_files"))

    def protect(self, default: str, running: str) -> None:
        """Do what tasks/protect.yml does, for two releases."""
        self.variables |= {"kernel_deploy_before": {"release": default}, "kernel_deploy_running": {"stdout": running}}
        found = self.run(*self.task("protect.yml", 0, "ansible.builtin.command.argv"))
        self.variables["kernel_deploy_owners"] = {"stdout_lines": found.stdout.splitlines()}
        (file,) = self.task("protect.yml", 1, "kvmfleet.sriov.node_files.files")
        (self.root / file["path"].lstrip("/")).write_text(file["content"])

    def hold(self, lock: str) -> subprocess.Popen[str]:
        """Hold a lock, until a line is written to the process."""
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, self.root / lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout
        holder.stdout.readline()
        return holder

    def state(self, name: str) -> str:
        """Return the package's state in dpkg's words, empty where it has none."""
        shown = ["dpkg-query", f"--admindir={self.root}/var/lib/dpkg", "--show", "--showformat=${db:Status-Status}"]
        found = subprocess.run([*shown, name], capture_output=True, text=True).stdout
        return "" if found == "not-installed" else found
