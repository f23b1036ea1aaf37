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


# galaxy.yml, the address that is given, galaxy.yml afterwards
A = "repository: https://a.example\n"
REPOSITORIES = [
    ("name: sriov\n", "https://a.example", f"name: sriov\n{A}"),
    ("name: sriov\nbuild_ignore:\n- x", "https://a.example", f"name: sriov\nbuild_ignore:\n- x\n{A}"),
    (f"{A}name: sriov\n", "", f"{A}name: sriov\n"),
    (f"{A[:-1]} # old\nname: b\n", "https://c.example/d", "repository: https://c.example/d\nname: b\n"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "address", "after"), REPOSITORIES)
def test_the_address_that_is_given_counts(text: str, address: str, after: str) -> None:
    assert release.with_repository(text, address) == after
    assert release.with_repository(after, "") == after


@pytest.mark.parametrize("text", ["name: sriov\n", "name: sriov\nrepository:\n", "# repository: https://a.example\n"])
def test_without_an_address_nothing_is_released(text: str) -> None:
    with pytest.raises(release.ReleaseError, match="no address of a repository, which Galaxy servers ask for: give it"):
        release.with_repository(text, "")
    with pytest.raises(release.ReleaseError, match="'x\nname: other' is no address"):
        release.with_repository(text, "x\nname: other")


def test_a_checkout_with_changes_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No message advises to throw away work."""
    asked: list[tuple[str, ...]] = []

    def run(*argv: str) -> str:
        asked.append(argv)
        return "".join(f" M docs/{number}.md\n" for number in range(7))

    monkeypatch.setattr(release, "_run", run)
    assert release.main(["1.2.3", "https://a.example"]) == 1
    said = capsys.readouterr().err
    assert "(docs/0.md, docs/1.md, docs/2.md, docs/3.md, docs/4.md and 2 more)" in said
    assert "nothing was written" in said
    assert "reset" not in said
    assert asked == [("git", "status", "--porcelain")]


def test_a_release_that_fails_amid_says_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*argv: str) -> str:
        if "antsibull-changelog" in argv[0]:
            raise release.ReleaseError("no such fragment")
        return ""

    (tmp_path / "galaxy.yml").write_text("repository: https://a.example\n")
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "_run", run)
    monkeypatch.setattr(release, "write", lambda *_words: None)
    assert release.main(["1.2.3"]) == 1
    said = capsys.readouterr().err
    assert "no such fragment" in said
    assert "'git stash --include-untracked' puts aside what is not committed" in said
    assert "reset" not in said


@pytest.mark.parametrize("given", ["https://git.example.org/sriov", ""])
def test_the_hint_has_the_repository_of_the_release(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given now, or by an earlier release: never the clone's origin."""
    (tmp_path / "galaxy.yml").write_text("" if given else "repository: https://git.example.org/sriov\n")
    (tmp_path / "build/dist").mkdir(parents=True)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "_run", lambda *_words: "")
    monkeypatch.setattr(release, "write", lambda *_words: None)
    assert release.main(["1.2.3", given]) == 0
    said = capsys.readouterr().out
    assert "git push https://git.example.org/sriov HEAD 1.2.3 && " in said
    assert "publish --server company build/dist/kvmfleet-sriov-1.2.3.tar.gz\n" in said


def rebuilt(folder: Path, released: Path) -> bytes:
    """The tarball of the tag, built in another clone of another umask."""
    script = "umask 077; git clone --quiet --branch 0.2.0 $1 $2; ln -s $3 $2/.venv; cd $2; tools/collection"
    words = ["sh", "-ec", script, "sh", str(released), str(folder), str(ROOT / ".venv")]
    subprocess.run(words, check=True, capture_output=True)
    return (folder / "build/dist/kvmfleet-sriov-0.2.0.tar.gz").read_bytes()


@pytest.mark.slow  # antsibull-changelog and ansible-galaxy
def test_a_whole_release(tmp_path: Path) -> None:
    checkout = tmp_path / "ansible_collections/kvmfleet/sriov"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    who = {f"GIT_{role}_{what}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    argv = [str(ROOT / ".venv/bin/python"), "-m", "tools.release", "0.2.0", "https://git.example.org/sriov"]
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
    tarball = checkout / "build/dist/kvmfleet-sriov-0.2.0.tar.gz"
    assert rebuilt(tmp_path / "elsewhere", checkout) == tarball.read_bytes()
    again = subprocess.run(argv, cwd=checkout, env={**os.environ, **who}, capture_output=True, text=True, check=False)
    assert (again.returncode, "0.2.0 is not above 0.2.0" in again.stderr) == (1, True)
