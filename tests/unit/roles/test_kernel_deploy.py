# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role kernel_deploy, with a boot loader and a dpkg that are played.

Real: the role and Ansible. The played `boot_entry` answers from files that the played dpkg may replace.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow  # runs of ansible-playbook
ROOT = Path(__file__).resolve().parents[3]
OLD, NEW = "6.1.0-18-amd64", "6.12.9-kvmfleet1"
BOOT_ENTRY = """#!/usr/bin/python
import json, os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(
    argument_spec={
        "default": {"type": "str"}, "allow_unproven": {"type": "bool"}, "after_update": {"type": "bool"}
    },
    supports_check_mode=True,
)
with open(os.path.join(os.environ["FAKE_HOST"], "boot.json")) as file:
    answer = json.load(file)
if "unknown" in answer:
    module.fail_json(msg=answer["unknown"])
with open(os.path.join(os.environ["FAKE_HOST"], "asked"), "a") as file:
    file.write("%s %s\\n" % (module.params["default"], module.params["allow_unproven"]))
module.exit_json(changed=bool(module.params["default"]), **answer)
"""
KERNEL_CHECK = """#!/usr/bin/python
import json, os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(
    argument_spec={"manifest": {"type": "dict"}, "before": {"type": "str"}}, supports_check_mode=True
)
here = os.environ["FAKE_HOST"]
problems = os.path.join(here, "problems-%s" % module.params["before"])
if os.path.exists(problems):
    with open(problems) as file:
        module.fail_json(msg=file.read())
there = {name: os.path.exists(os.path.join(here, name)) for name in ("installed", "damaged")}
module.exit_json(
    changed=False, installed=there["installed"] and not there["damaged"], packages_installed=there["installed"],
    initrd="", running=""
)
"""
PROGRAMS = {
    "uname": f"echo {OLD}",
    "dpkg-query": 'cat "$FAKE_HOST/installed" 2>/dev/null || exit 1',
    "dpkg": 'exec sh "$FAKE_HOST/dpkg.sh"',
}


def start(release: str, pinned: bool = True, missing: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "entry": release, "kernel": f"/boot/vmlinuz-{release}", "release": release, "pinned": pinned,
        "missing": list(missing),
    }  # fmt: skip


class Host:
    """This machine as a host below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        collection = folder / "collections/ansible_collections/kvmfleet/sriov"
        (collection / "plugins/modules").mkdir(parents=True)
        for name in ("roles", "playbooks", "meta", "plugins/module_utils", "plugins/filter", "plugins/plugin_utils"):
            (collection / name).symlink_to(ROOT / name)
        (collection / "plugins/modules/boot_entry.py").write_text(BOOT_ENTRY)
        (collection / "plugins/modules/kernel_check.py").write_text(KERNEL_CHECK)
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
        lines = [f"printf kernel >{self.folder}/vmlinuz"]
        if status == 0:
            lines.append(f"echo linux-image 1 installed >{self.folder}/installed")
        if boots is not None:
            (self.folder / "after.json").write_text(json.dumps({"default": boots, "next": boots, "after_update": None}))
            lines.append(f"cp {self.folder}/after.json {self.folder}/boot.json")
        (self.folder / "dpkg.sh").write_text("\n".join([*lines, f"echo hook failed >&2; exit {status}"]))

    def run(self, *arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
        inventory = self.folder / "inventory.yml"
        host = {"ansible_connection": "local", "ansible_become": False}
        host["ansible_python_interpreter"] = f"{self.folder}/python"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"h1": host}}}))
        wanted = {
            "kernel_deploy_manifest": f"{self.folder}/manifest.json", "kernel_deploy_staging": f"{self.folder}/staging",
            "ansible_become": False, **variables,
        }  # fmt: skip
        environment = {
            **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"), "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(self.folder / "home"), "ANSIBLE_LOCALHOST_WARNING": "false",
        }  # fmt: skip
        program = Path(sys.executable).with_name("ansible-playbook")
        command = [str(program), "-i", str(inventory), "-e", json.dumps(wanted), "kvmfleet.sriov.kernel_deploy"]
        return subprocess.run(
            [*command, *arguments], env=environment, cwd=self.folder, capture_output=True, text=True, timeout=300
        )

    @property
    def installed(self) -> bool:
        return (self.folder / "installed").exists()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_kernel_is_installed_beside_a_pinned_default(host: Host) -> None:
    check = host.run("--check")
    assert (check.returncode, host.installed) == (0, False), check.stdout
    done = host.run()
    assert (done.returncode, host.installed) == (0, True), done.stdout
    again = host.run()
    assert "changed=0" in again.stdout, again.stdout


REFUSED = {
    "not pinned": (start(OLD, pinned=False), None, None, "not pinned"),
    "without its initrd": (start(OLD, missing=("/boot/initrd.img",)), None, None, "installing another kernel could"),
    "another one waits": (start(OLD), start(NEW), None, f"starts /boot/vmlinuz-{NEW} next"),
    "the same release": (start(NEW), None, None, "replace a kernel that has shown"),
}


@pytest.mark.parametrize(("default", "following", "updated", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_hosts_whose_default_could_change_are_refused(
    host: Host, default: dict[str, Any], following: dict[str, Any] | None, updated: None, words: str
) -> None:
    host.boots(default, following, updated)
    done = host.run()
    assert done.returncode != 0
    assert words in " ".join(done.stdout.split())
    assert not host.installed


def test_an_unknown_boot_loader_is_refused_unless_it_is_not_asked(host: Host) -> None:
    (host.folder / "boot.json").write_text(json.dumps({"unknown": "the boot loader is not known: no boot sector"}))
    done = host.run()
    assert done.returncode != 0
    assert "the boot loader is not known" in done.stdout
    assert not host.installed
    done = host.run(kernel_deploy_require_pinned_default=False)
    assert (done.returncode, host.installed) == (0, True), done.stdout


@pytest.mark.parametrize("status", [0, 1])
def test_a_default_that_has_moved_fails_every_run(host: Host, status: int) -> None:
    host.dpkg(boots=start(NEW, pinned=False), status=status)
    done = host.run()
    assert done.returncode != 0
    assert f"starts /boot/vmlinuz-{NEW} now" in " ".join(done.stdout.split())
    assert host.run().returncode != 0


def test_a_failed_installation_says_what_starts(host: Host) -> None:
    host.dpkg(status=1)
    done = host.run()
    assert done.returncode != 0
    text = " ".join(done.stdout.split())
    assert "hook failed" in text
    assert f"h1 starts /boot/vmlinuz-{OLD} by default, as before" in text


OTHER = {
    "a newer one": (
        {"schema": 3},
        "has schema 3 of the kernel's manifest, this collection knows 1 and 2: ansible-galaxy",
    ),
    "a path in a name": ({"key": "../../../../etc"}, "'key' cannot be '../../../../etc'; build the kernel again"),
}


@pytest.mark.parametrize(("fields", "words"), OTHER.values(), ids=OTHER.keys())
def test_manifests_that_are_not_understood_are_refused(host: Host, fields: dict[str, Any], words: str) -> None:
    path = host.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    done = host.run()
    assert done.returncode != 0
    assert words in " ".join((done.stdout + done.stderr).split())
    assert not host.installed


def test_a_relative_manifest_is_below_the_folder_of_the_run(host: Host) -> None:
    """Not below the playbook; its packages are beside it."""
    (host.folder / "kernels").mkdir()
    for name in ("manifest.json", "linux-image.deb"):
        (host.folder / name).rename(host.folder / "kernels" / name)
    done = host.run(kernel_deploy_manifest="kernels/manifest.json")
    assert (done.returncode, host.installed) == (0, True), done.stdout + done.stderr


def test_what_the_host_cannot_take_is_refused_before_anything_is_copied(host: Host) -> None:
    (host.folder / "problems-install").write_text("/boot has 3 MiB left")
    for arguments in (("--check",), ()):
        done = host.run(*arguments)
        assert done.returncode != 0
        assert "/boot has 3 MiB left" in done.stdout
    assert not (host.folder / "staging").exists()


def test_what_may_not_boot_fails_every_run(host: Host) -> None:
    """The second one finds nothing to install, and is not green."""
    (host.folder / "problems-boot").write_text("initrd has not the program lvm")
    for arguments in ((), (), ("--check",)):
        done = host.run(*arguments)
        assert done.returncode != 0
        assert "initrd has not the program lvm" in done.stdout


def test_damaged_files_are_installed_again(host: Host) -> None:
    assert host.run().returncode == 0
    (host.folder / "damaged").write_text("")
    assert "changed=0" not in host.run("--check").stdout
    (host.folder / "damaged").unlink()
    assert "changed=0" in host.run("--check").stdout


def test_confirming(host: Host) -> None:
    done = host.run(kernel_deploy_confirm=True)
    assert done.returncode == 0, done.stdout
    assert f"{NEW} False" in (host.folder / "asked").read_text()
