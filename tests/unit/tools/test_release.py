# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release: its version, its changelog, its checksums."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import release

ROOT = Path(__file__).resolve().parents[3]
NOW, THEN = {"sriov_pf", "sriov_vf", "live_update"}, {"sriov_pf"}
NEW = {"minor_changes": ["sriov_vf - new."]}
# a fragment, what is left of it at the first release, and at a later one that had sriov_pf
FRAGMENTS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (NEW, NEW, NEW),
    ({"bugfixes": ["sriov_vf - mended."]}, {}, {}),
    ({"bugfixes": ["sriov_pf, sriov_vf - mended."]}, {}, {"bugfixes": ["sriov_pf, sriov_vf - mended."]}),
    ({"bugfixes": ["Something without a name."]}, {}, {"bugfixes": ["Something without a name."]}),
    ({"breaking_changes": ["live_update - other."], "trivial": ["x"]}, {"trivial": ["x"]}, {"trivial": ["x"]}),
    ({"release_summary": "All."}, {"release_summary": "All."}, {"release_summary": "All."}),
]  # fmt: skip


@pytest.mark.parametrize(("fragment", "first", "later"), FRAGMENTS)
def test_faults_of_unreleased_code_are_left_out(
    fragment: dict[str, Any], first: dict[str, Any], later: dict[str, Any]
) -> None:
    assert release.kept(fragment, NOW, set()) == first
    assert release.kept(fragment, NOW, THEN) == later


def test_names_of_a_tree() -> None:
    files = ["plugins/modules/sriov_pf.py", "plugins/module_utils/_sriovctl/cli.py", "roles/sriov/tasks/main.yml"]
    assert release.names([*files, "playbooks/convert.yml", "tests/x.py"]) == {
        "sriov_pf",
        "sriovctl",
        "sriov",
        "convert",
    }


# version, tags, words of the refusal
REFUSED = [
    ("", [], "is no version"), ("1.2", [], "is no version"), ("1.02.3", [], "is no version"),
    ("1.2.3 --force", [], "is no version"), ("1.2.3", ["1.2.3"], "not above 1.2.3"),
    ("1.9.0", ["1.10.0", "0.1.0"], "not above 1.10.0"), ("1.0.0-rc1", ["1.0.0"], "not above 1.0.0"),
]  # fmt: skip


@pytest.mark.parametrize(("version", "tags", "words"), REFUSED)
def test_versions_that_cannot_be(version: str, tags: list[str], words: str) -> None:
    with pytest.raises(release.ReleaseError, match=words):
        release.check(version, tags)


def test_versions_that_can_be() -> None:
    assert release.check("0.1.0", ["some-tag"]) == ""
    assert release.check("1.10.0", ["1.9.0", "1.2.0"]) == "1.9.0"
    assert release.check("1.0.0", ["1.0.0-rc1"]) == "1.0.0-rc1"


def test_every_place_of_the_version_is_known(tmp_path: Path) -> None:
    """Whatever has the present one, but ``version_added`` of options."""
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode()
    shipped = [
        name for name in listed.split("\0") if name.startswith(("README", "docs/", "plugins/", "roles/", "galaxy"))
    ]
    has = {
        name
        for name in shipped
        for line in (ROOT / name).read_text(errors="replace").splitlines()
        if version in line and "version_added" not in line
    }
    assert has == set(release.PLACES)


def test_the_repository_is_set_once(tmp_path: Path) -> None:
    (tmp_path / "galaxy.yml").write_text("name: sriov\n")
    assert not release.set_repository(tmp_path, "")
    with pytest.raises(release.ReleaseError, match="no address of a repository"):
        release.set_repository(tmp_path, "x\nname: other")
    for address in ("https://example.org/a", "https://example.org/b"):
        assert release.set_repository(tmp_path, address)
    assert (tmp_path / "galaxy.yml").read_text() == "name: sriov\nrepository: https://example.org/a\n"


@pytest.mark.slow  # antsibull-changelog and ansible-galaxy
def test_a_whole_release(tmp_path: Path) -> None:
    checkout = tmp_path / "ansible_collections/kvmfleet/sriov"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    who = {f"GIT_{role}_{what}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    argv = [str(ROOT / ".venv/bin/python"), "-m", "tools.release", "0.2.0"]
    done = subprocess.run(argv, cwd=checkout, env={**os.environ, **who}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    notes = (checkout / "CHANGELOG.rst").read_text()
    assert "v0.2.0" in notes
    assert "Minor Changes" in notes
    assert "Bugfixes" not in notes
    assert "Breaking Changes" not in notes
    assert yaml.safe_load((checkout / "galaxy.yml").read_text())["version"] == "0.2.0"
    assert list((checkout / "build/dist").glob("kvmfleet-sriov-0.2.0.tar.gz"))
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=checkout / "build/dist", check=True)
    tags = subprocess.run(["git", "tag", "--points-at", "HEAD"], cwd=checkout, stdout=subprocess.PIPE, check=True)
    assert tags.stdout.decode().split() == ["0.2.0"]
    again = subprocess.run(argv, cwd=checkout, env={**os.environ, **who}, capture_output=True, text=True, check=False)
    assert (again.returncode, "0.2.0 is not above 0.2.0" in again.stderr) == (1, True)
