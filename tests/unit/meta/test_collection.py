# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a whole: its lists, and its tarball.

The lists name what is there, and the tarball holds what users need and nothing else.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from importlib import import_module
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
SECTIONS = [
    "Description",
    "Requirements",
    "Installation",
    "Use Cases",
    "Testing",
    "Contributing",
    "Support",
    "Release Notes and Roadmap",
    "Related Information",
    "License Information",
]


RUNTIME = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())
DEFAULTS = {
    "declare": ("declaring_vfs", {"allow_disruptive", "force", "detail"}),
    "live_update": (
        "declaring_vfs",
        {"kernel", "initrd", "command_line", "budget_s", "host", "owner", "take_over", "options"},
    ),
}
"""The page of each group, and the options that its modules share."""


def documented(module: str) -> tuple[set[str], set[str]]:
    """Options of a module, and the groups that its documentation names."""
    here = "ansible_collections.kvmfleet.sriov.plugins"
    own = yaml.safe_load(import_module(f"{here}.modules.{module}").DOCUMENTATION)
    options, groups = set(own.get("options", ())), set()
    for name in own.get("extends_documentation_fragment", ()):
        file, _dot, part = name.removeprefix("kvmfleet.sriov.").partition(".")
        fragment = import_module(f"{here}.doc_fragments.{file}").ModuleDocFragment
        found = yaml.safe_load(getattr(fragment, part.upper() or "DOCUMENTATION"))
        options |= set(found["options"])
        groups |= set(found.get("attributes", {}).get("action_group", {}).get("membership", ()))
    return options, {name.removeprefix("kvmfleet.sriov.") for name in groups}


def test_runtime_names_the_oldest_ansible() -> None:
    assert re.fullmatch(r">=\d+\.\d+\.\d+", RUNTIME["requires_ansible"])


@pytest.mark.parametrize("group", sorted(RUNTIME["action_groups"]))
def test_modules_of_a_group_share_the_options_that_a_page_names(group: str) -> None:
    """A default of another option would fail the module without it."""
    page, options = DEFAULTS[group]
    shared = set.intersection(*(documented(module)[0] for module in RUNTIME["action_groups"][group]))
    assert shared == options
    text = (ROOT / f"docs/{page}.md").read_text()
    assert f"kvmfleet.sriov.{group}`" in text
    assert all(f"`{option}`" in text for option in options)


def test_modules_name_their_groups() -> None:
    for path in (ROOT / "plugins/modules").glob("*.py"):
        groups = {name for name, modules in RUNTIME["action_groups"].items() if path.stem in modules}
        assert documented(path.stem)[1] == groups, path.stem


def test_readme_has_the_sections_of_a_certified_collection() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert [heading for heading in headings if heading in SECTIONS] == SECTIONS


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir()))
def test_role_states_its_interface(role: str) -> None:
    folder = ROOT / "roles" / role
    options = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((folder / "defaults/main.yml").read_text()) if (folder / "defaults").exists() else {}
    assert all(name.startswith(f"{role}_") for name in options)
    assert set(defaults) <= set(options)
    plain = {name: value for name, value in defaults.items() if "{{" not in str(value)}
    assert {name: option["default"] for name, option in options.items() if "default" in option} == plain


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Paths in a tarball that ansible-galaxy builds from tracked files."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("out")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    galaxy = str(Path(sys.executable).parent / "ansible-galaxy")
    build = [galaxy, "collection", "build", "--output-path", str(out), str(source)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        return set(archive.getnames())


def test_tarball_has_what_users_need(packed: set[str]) -> None:
    needed = ["plugins/modules/sriov_pf.py", "meta/runtime.yml", "README.md", "LICENSES/GPL-2.0-only.txt"]
    needed += [
        "playbooks/kernel_deploy.yml",
        "roles/kernel_build/files/series/6.12/series",
        "files/prometheus_alerts.yml",
    ]
    assert packed.issuperset(needed)


def test_tarball_has_nothing_of_the_workshop(packed: set[str]) -> None:
    allowed = {"FILES.json", "MANIFEST.json", "README.md", "CHANGELOG.rst", "LICENSES", "changelogs", "docs"}
    allowed |= {"CODE_OF_CONDUCT.md", "COPYING", "SECURITY.md", "files"}
    assert {name.split("/")[0] for name in packed} <= allowed | {"meta", "playbooks", "plugins", "roles"}
