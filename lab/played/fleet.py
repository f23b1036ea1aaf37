"""Three played hosts, and Ansible as it reaches them."""

from __future__ import annotations

import configparser
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.fake.fleet.played import BOOT_ENTRY, MODULE, PLAYED

from ..paths import HERE, REPOSITORY
from ..playbook import BIN
from .host import Host

REAL = (
    "roles",
    "playbooks",
    "meta",
    "plugins/action",
    "plugins/filter",
    "plugins/plugin_utils",
    "plugins/module_utils",
)
INTERFACES = {"hv1": "vf-id", "hv2": "vf-id", "hv3": "stock"}
"""The kernel interface of each host."""


class Fleet:
    """Hosts below ``folder``, and a collection whose live update is played."""

    def __init__(self, folder: Path, declared: list[dict[str, Any]]) -> None:
        self.folder = folder
        self.hosts = [Host(folder / "hosts", name, interface) for name, interface in INTERFACES.items()]
        self._collection(folder / "collections/ansible_collections/kvmfleet/sriov")
        self.inventory = folder / "inventory.yml"
        hosts = {host.name: host.variables() for host in self.hosts}
        words = yaml.safe_dump(
            {"all": {"hosts": hosts, "vars": {"sriov_pfs": declared, "sriov_local_facts": True}}}, sort_keys=False
        )
        self.inventory.write_text(words)
        self._settings()

    def _collection(self, collection: Path) -> None:
        modules = collection / "plugins/modules"
        modules.mkdir(parents=True)
        for name in REAL:
            os.symlink(REPOSITORY / name, collection / name)
        for path in sorted((REPOSITORY / "plugins/modules").glob("*.py")):
            played = path.stem in PLAYED and not (REPOSITORY / "plugins/action" / path.name).exists()
            if not played and path.stem != "boot_entry":
                os.symlink(path, modules / path.name)
        for name in PLAYED:
            if not (modules / f"{name}.py").exists():
                (modules / f"{name}.py").write_text(MODULE % name)
        (modules / "boot_entry.py").write_text(BOOT_ENTRY)

    def _settings(self) -> None:
        """Write ansible.cfg: all that Ansible writes is below the fleet's folder."""
        settings = configparser.ConfigParser(interpolation=None)
        settings.read(HERE / "ansible.cfg")
        settings["defaults"].update({
            "inventory": str(self.inventory), "collections_path": str(self.folder / "collections"),
            "connection_plugins": str(HERE / "played/connection"), "home": str(self.folder / "home"),
            "local_tmp": str(self.folder / "tmp"), "remote_tmp": str(self.folder / "tmp"), "localhost_warning": "False",
        })  # fmt: skip
        settings["connection"] = {"pipelining": "True"}
        # Ansible takes its own user for that of the hosts.
        settings["privilege_escalation"] = {"become_allow_same_user": "True"}
        with (self.folder / "ansible.cfg").open("w") as file:
            settings.write(file)

    def environment(self) -> dict[str, str]:
        """The environment of Ansible's programs, whose settings are in the fleet's folder.

        Settings of the caller would come before these, such as the Makefile's path of collections.
        """
        own = {
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        others = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return {**others, **own, "PATH": f"{BIN}:{os.environ['PATH']}"}

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [str(BIN / program), "-i", str(self.inventory), *words]
        return subprocess.run(
            argv, env=self.environment(), cwd=self.folder, capture_output=True, text=True, check=False
        )
