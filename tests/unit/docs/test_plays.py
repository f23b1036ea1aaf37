# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays and command lines of README and guides, run as typed.

Hosts are played: who connects to them is not root, and becomes it only where the page says so.
"""

from __future__ import annotations

import configparser
import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl import cli
from lab.played import fleet as played
from lab.played import update
from lab.played.host import NETDEV, NEW
from tests.fake.linux.pf import FakePf

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("roles/*/README.md"))]
UNSHARE = ["unshare", "--user", "--map-root-user", "--mount", "true"]
ABLE = subprocess.run(UNSHARE, capture_output=True).returncode == 0
namespaces = pytest.mark.skipif(not ABLE, reason="user namespaces are off")

ELSEWHERE = {
    "kernel_deploy": "it needs apt and a boot loader: tests/unit/roles/test_kernel_deploy.py",
    "rehearse": "it needs QEMU, or a kexec: tests/unit/playbooks/test_rehearse_playbook.py",
    "convert": "of other systems, whose programs hosts need: tests/unit/playbooks/test_convert_playbook.py",
    "boot_entry": "it needs a boot loader: tests/unit/plugins/modules/test_boot_entry.py",
    "node_program": "it installs on this machine: tests/unit/plugins/action/test_node_program.py",
    "kernel_build": "it builds a kernel: tests/unit/roles/test_kernel_build.py",
}
"""What is shown and not run here, with where it is run."""


SETTING = "inject_facts_as_vars = False"
NEED_IT = {"live_update", "rehearse", "kernel_deploy", "kernel_build", "convert", "qualify"}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of a page's fenced blocks."""
    return re.findall(r"^ *```(\w*)\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)


def shown() -> Iterator[tuple[str, str]]:
    """Names of pages, and command lines of Ansible in their blocks."""
    for page in PAGES:
        for _language, text in blocks(page):
            for line in text.replace("\\\n", " ").splitlines():
                words = line.strip().removeprefix("$ ").removeprefix("- run: ").removeprefix("- ")
                if words.startswith(("ansible ", "ansible-playbook ")):
                    yield str(page.relative_to(ROOT)), words


def subject(command: str) -> str:
    """The playbook or module of the collection in a command line."""
    found = re.search(r"kvmfleet\.sriov\.(\w+)", command)
    return found[1] if found else ""


def command_lines() -> list[str]:
    """Those that are run here, on this inventory, into the played kernel."""
    lines = [command for _page, command in shown() if subject(command) not in ELSEWHERE]
    lines = [re.sub(r"-i (?:INVENTORY|inventory\.yml)(?= |$)", "-i inventory", line) for line in lines]
    return sorted({re.sub(r"(?<=live_update_kernel=)\S+", NEW, line) for line in lines})


def declared() -> str:
    """README's ``sriov_pfs`` for an inventory."""
    found = [text for language, text in blocks(PAGES[0]) if language == "yaml" and text.startswith("sriov_pfs:")]
    (text,) = found
    return text


USUAL = yaml.safe_load(declared())["sriov_pfs"]
PLAYS = [
    pytest.param(text, id=str(page.relative_to(ROOT)))
    for page in PAGES
    for language, text in blocks(page)
    if language == "yaml" and text.startswith("- hosts: hypervisors")
]
DOCUMENTS = next(text for _language, text in blocks(ROOT / "docs/continuous_integration.md") if "documents.yml" in text)


class Site:
    """One played hypervisor, and the inventory that README describes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(played, "INTERFACES", {"hv1": "vf-id"})
        self.fleet = played.Fleet(folder, [])
        self.folder, (self.host,) = folder, self.fleet.hosts
        inventory = folder / "inventory"
        (inventory / "group_vars").mkdir(parents=True)
        (settings,) = [text for _language, text in blocks(PAGES[0]) if SETTING in text]
        config = configparser.ConfigParser(interpolation=None)
        config.read(folder / "ansible.cfg")
        for name in ("inject_facts_as_vars", "callback_result_format"):
            config["defaults"].pop(name)
        config.read_string(settings)
        with (folder / "ansible.cfg").open("w") as file:
            config.write(file)
        own = self.host.variables()
        names = {"hypervisors": {"hosts": {"hv1": own}}, "spares": {"hosts": {"spare1": own}}}
        (inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": names}}))
        update.play(self.host, time.time())
        given = {"live_update_report_dir": str(folder / "report")}
        (inventory / "group_vars/all.yml").write_text(yaml.safe_dump(given))
        (inventory / "group_vars/hypervisors.yml").write_text(declared())

    def adapters(self, pfs: list[Any]) -> list[FakePf]:
        """Have PFs of the kinds that are declared, with 64 VFs each."""
        self.host.fake.pfs.clear()
        for number, pf in enumerate(pfs):
            named = ":" not in pf["pf"]
            address = f"0000:{0x10 + number:02x}:00.0" if named else pf["pf"]
            netdev = pf["pf"] if named else NETDEV if len(pfs) == 1 else f"eth{number}"
            if "eswitch_mode" in pf:
                self.host.fake.mlx5(address, 64, netdev=netdev, mac=f"52:54:00:00:01:{number:02x}")
            else:
                self.host.fake.add(FakePf(address, total=64, netdev=netdev))
        self.host.fake.draw()
        return list(self.host.fake.pfs.values())

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command line in the folder that has ``inventory``.

        Settings are those of README's ``ansible.cfg``, and how played hosts are reached. Where a live update's state is
        on played hosts is no variable of users.
        """
        if subject(command) == "live_update":
            command += " -e live_update_folder=/run/played/update"
        own = self.fleet.environment()
        return subprocess.run(["sh", "-c", command], env=own, cwd=self.folder, capture_output=True, text=True)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = Site(tmp_path, monkeypatch)
    yield site
    for host in site.fleet.hosts:
        host.server.shutdown()
        host.server.server_close()


@namespaces
def test_settings_of_the_caller_are_left_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path of collections comes before that of the played ones."""
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(ROOT / "build/collections"))
    monkeypatch.setenv("ANSIBLE_INJECT_FACT_VARS", "True")
    settings = {name for name in site.fleet.environment() if name.startswith("ANSIBLE_")}
    assert settings == {"ANSIBLE_CONFIG", "ANSIBLE_NOCOLOR"}


def test_what_is_not_run_here_is_run_elsewhere() -> None:
    subjects = {subject(command) for _page, command in shown()}
    assert subjects - set(ELSEWHERE) == {"sriov_info", "sriov", "live_update", "live_update_info", "qualify"}
    for reason in ELSEWHERE.values():
        assert (ROOT / reason.split(": ")[1]).is_file(), reason


def test_pages_with_commands_say_what_has_to_be_set() -> None:
    pages = {page for page, command in shown() if subject(command) in NEED_IT}
    assert len(pages) > 4
    assert [name for name in sorted(pages) if SETTING not in (ROOT / name).read_text()] == []


@pytest.mark.slow
@namespaces
@pytest.mark.parametrize("command", command_lines())
def test_command_lines_work_as_typed(site: Site, command: str) -> None:
    (wide,) = site.adapters(USUAL)
    done = site.run(command)
    assert done.returncode == 0, done.stdout + done.stderr
    if shlex.split(command)[0] == "ansible":
        assert (NETDEV if subject(command) == "sriov_info" else '"estimate_vms": [') in done.stdout
        assert "hv1 | SUCCESS" in done.stdout
    elif "--check" in command:
        assert (wide.enabled, list((site.host.root / "etc").glob("kvmfleet*"))) == (0, [])
    elif subject(command) == "sriov":
        assert (wide.enabled, sorted(wide.vfs)) == (64, [*range(8), 20])


@pytest.mark.slow
@namespaces
@pytest.mark.parametrize("text", PLAYS)
def test_plays_work_as_written(site: Site, text: str) -> None:
    pfs = site.adapters(pfs_of(text) or USUAL)
    (site.folder / "play.yml").write_text(text)
    done = site.run("ansible-playbook -i inventory -l hv1 play.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [bool(pf.enabled) for pf in pfs] == [True] * len(pfs)


@pytest.mark.slow
@namespaces
def test_defaults_of_a_group_reach_its_modules(site: Site) -> None:
    """Without them another number of VFs is refused while VFs are present."""
    (text,) = (str(play.values[0]) for play in PLAYS if "module_defaults:" in str(play.values[0]))
    (pf,) = site.adapters([{"pf": NETDEV}])
    site.host.fake.setup(pf, 4, range(4))
    (site.folder / "play.yml").write_text(text)
    (site.folder / "without.yml").write_text(text.replace("allow_disruptive: true", "allow_disruptive: false"))
    done = site.run("ansible-playbook -i inventory -l hv1 without.yml")
    assert (done.returncode, pf.enabled) == (2, 4), done.stdout
    done = site.run("ansible-playbook -v -i inventory -l hv1 play.yml")
    assert (done.returncode, pf.enabled) == (0, 16), done.stdout + done.stderr
    assert pf.properties[3]["vlan"] == 100
    assert done.stdout.count('"document":') == 1  # of sriov_pf, with detail: full


@pytest.mark.slow
@namespaces
def test_templates_are_written_as_documents(site: Site) -> None:
    (wide,) = site.adapters(USUAL)
    variables = site.folder / "inventory/group_vars/hypervisors.yml"
    variables.write_text("many: 99\nsriov_pfs: [{pf: eth0, hardware_vfs: '{{ many }}', present_vfs: 0-99}]\n")
    (site.folder / "documents.yml").write_text(DOCUMENTS)
    (site.folder / "documents").mkdir()
    done = site.run("ansible-playbook -i inventory documents.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    text = (site.folder / "documents/hv1.json").read_text()
    assert json.loads(text) == {"pfs": [{"pf": "eth0", "hardware_vfs": 99, "present_vfs": "0-99"}]}
    assert cli.main(["check", str(site.folder / "documents/hv1.json")]) == 2
    assert wide.enabled == 0


@pytest.mark.slow
@namespaces
def test_a_contradiction_is_refused_before_the_host_is_changed(site: Site) -> None:
    """Not even the node program is installed."""
    (wide,) = site.adapters(USUAL)
    variables = site.folder / "inventory/group_vars/hypervisors.yml"
    variables.write_text(f"sriov_pfs: [{{pf: {NETDEV}, hardware_vfs: 2, present_vfs: 0-3}}]\n")
    before = {path for path in site.host.root.rglob("*") if "run" not in path.parts}
    done = site.run("ansible-playbook kvmfleet.sriov.sriov -i inventory -e sriov_hosts=hypervisors")
    assert (done.returncode, wide.enabled) == (2, 0), done.stdout
    assert f"PF {NETDEV}: present_vfs: 2-3 is out of range" in done.stdout
    assert {path for path in site.host.root.rglob("*") if "run" not in path.parts} == before


@pytest.mark.slow
@namespaces
def test_without_become_nothing_is_changed(site: Site) -> None:
    """What would be missed if everybody were root on played hosts."""
    (wide,) = site.adapters(USUAL)
    text = str(PLAYS[0].values[0])
    assert "  become: true\n" in text
    (site.folder / "play.yml").write_text(text.replace("  become: true\n", ""))
    done = site.run("ansible-playbook -i inventory -l hv1 play.yml")
    assert (done.returncode, wide.enabled) == (2, 0), done.stdout


def pfs_of(play: str) -> list[Any]:
    """``sriov_pfs`` among the variables of a play's role."""
    roles = [role for one in yaml.safe_load(play) for role in one.get("roles", ()) if isinstance(role, dict)]
    return [pf for role in roles for pf in role.get("vars", {}).get("sriov_pfs", [])]
