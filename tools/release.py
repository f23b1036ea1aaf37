# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a release: version, changelog, tarball with checksums, commit and tag.

`make release VERSION=1.2.3 REPOSITORY=URL`, on a clean checkout. Servers of Galaxy ask for the address of a repository:
without one in galaxy.yml, or given here, which replaces it, nothing is made. Nothing is pushed or published. The same
commit gives the same tarball (`tools.tarball`). The changelog leaves out faults of
code that nobody ever got: all of them at the first release, later those of plugins, roles and playbooks that the last
release did not have.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
FAULTS = (
    "bugfixes", "security_fixes", "breaking_changes", "deprecated_features", "removed_features", "known_issues",
)  # fmt: skip
"""Sections of fragments about what somebody may have used before."""
PLACES = {
    "galaxy.yml": r"(?m)(?<=^version: )\S+",
    "plugins/module_utils/_sriovctl/cli.py": r'(?m)(?<=^VERSION = ")[^"]+',
}
"""Where the version is, by patterns of it.

Commands in documents name none.
"""
MOST = 5
"""Most files that one message names."""
_NAMED = re.compile(r"(?:plugins/(?:modules|filter|action)|playbooks)/(\w+)\.(?:py|yml)$|roles/(\w+)/")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?")


class ReleaseError(Exception):
    """No release can be made; what to do is in the text."""


class HalfMadeError(ReleaseError):
    """A release that has failed after files were written."""


def names(files: Iterable[str]) -> set[str]:
    """Modules, filters, roles, playbooks and programs among the files of a tree."""
    found = set()
    for file in files:
        place = _NAMED.match(file)
        found |= {place[1] or place[2]} if place else set()
        if file.startswith("plugins/module_utils/_sriovctl/"):
            found.add("sriovctl")
    return found


def is_of_nobody(line: str, now: set[str], then: set[str]) -> bool:
    """Whether a line is about things that the last release had not."""
    head, separator, _text = line.partition(" - ")
    about = set(re.findall(r"\w+", head)) & now if separator else set()
    return not then or (bool(about) and not about & then)


def kept(fragment: Mapping[str, Any], now: set[str], then: set[str]) -> dict[str, Any]:
    """A fragment without faults of unreleased code.

    ``then`` is empty before the first release.
    """
    found: dict[str, Any] = {}
    for section, lines in fragment.items():
        some = [line for line in lines if not is_of_nobody(line, now, then)] if section in FAULTS else lines
        if some:
            found[section] = some
    return found


def check(version: str, tags: Iterable[str]) -> str:
    """The last release, empty before the first one.

    Raises `ReleaseError` for a version that is none, or not above the last.
    """
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"'{version}' is no version: give three numbers, as in 'make release VERSION=1.2.3'")
    known = sorted(filter(_VERSION.fullmatch, tags), key=_order)
    if known and _order(version) <= _order(known[-1]):
        raise ReleaseError(f"{version} is not above {known[-1]}, the last release (git tag); give a higher one")
    return known[-1] if known else ""


def _order(version: str) -> tuple[list[int], bool, str]:
    numbers, _dash, pre = version.partition("-")
    return [int(number) for number in numbers.split(".")], not pre, pre


def write(root: Path, version: str, then: set[str]) -> None:
    """Set the version, and leave in fragments what the changelog shall say."""
    for file, pattern in PLACES.items():
        text, number = re.subn(pattern, version, (root / file).read_text(encoding="utf-8"))
        if not number:
            raise ReleaseError(f"{file} has no version at the place that tools/release.py knows: {pattern}")
        (root / file).write_text(text, encoding="utf-8")
    files = (path for folder in ("plugins", "playbooks", "roles") for path in root.glob(f"{folder}/**/*"))
    now = names(str(path.relative_to(root)) for path in files)
    for path in sorted((root / "changelogs/fragments").glob("*.yml")):
        fragment = yaml.safe_load(path.read_text(encoding="utf-8"))
        some = kept(fragment, now, then)
        if not some:
            path.unlink()
        elif some != fragment:
            path.write_text(yaml.safe_dump(some, explicit_start=True, sort_keys=False, width=160), encoding="utf-8")


def with_repository(text: str, address: str) -> str:
    """The text of galaxy.yml with the address of a repository.

    ``address`` replaces the one that is there. Raises `ReleaseError` where there is none, and for one that is none.
    """
    has = re.search(r"(?m)^repository: *(\S+).*\n?", text)
    if not address and not has:
        raise ReleaseError(
            "galaxy.yml has no address of a repository, which Galaxy servers ask for: give it, as in "
            "'make release VERSION=1.2.3 REPOSITORY=https://git.example.org/kvmfleet.sriov'"
        )
    if address and not re.fullmatch(r"https?://[\w./~:@-]+", address):
        raise ReleaseError(f"'{address}' is no address of a repository: give one with https://")
    if not address:
        return text
    line = f"repository: {address}\n"
    return text[: has.start()] + line + text[has.end() :] if has else f"{text.rstrip()}\n{line}"


def sums(folder: Path) -> str:
    """Checksums of tarballs, as ``sha256sum --check`` reads them."""
    files = sorted(folder.glob("*.tar.gz"))
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def hint(version: str, galaxy: str) -> str:
    """How the release gets to its repository and a server.

    Neither ``origin`` nor the first server of ansible.cfg need be those that are meant.
    """
    address = yaml.safe_load(galaxy)["repository"]
    tarball = f"build/dist/kvmfleet-sriov-{version}.tar.gz"
    return (
        f"release: git push {address} HEAD {version} && ansible-galaxy collection publish --server company {tarball}\n"
        "release: 'company' is a server of your ansible.cfg, as in docs/private_galaxy.md; without --server it is the "
        "first one there, or galaxy.ansible.com"
    )


def _run(*argv: str) -> str:
    path = f"{ROOT}/.venv/bin:{os.environ.get('PATH', os.defpath)}"  # antsibull-changelog runs ansible-doc
    done = subprocess.run(
        argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": path},
    )  # fmt: skip
    if done.returncode:
        raise ReleaseError(f"'{' '.join(argv)}' ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def release(version: str, repository: str) -> None:
    """Make all of a release in this checkout.

    Raises `ReleaseError` where nothing was written, `HalfMadeError` otherwise.
    """
    changed = _run("git", "status", "--porcelain").splitlines()
    if changed:
        more = f" and {len(changed) - MOST} more" if len(changed) > MOST else ""
        files = ", ".join(line[3:] for line in changed[:MOST])
        raise ReleaseError(
            f"the checkout has changes that are not committed ({files}{more}): "
            "commit them, or put them aside with 'git stash --include-untracked'; nothing was written"
        )
    last = check(version, _run("git", "tag").split())
    galaxy = with_repository((ROOT / "galaxy.yml").read_text(encoding="utf-8"), repository)
    then = names(_run("git", "ls-tree", "-r", "--name-only", last).splitlines()) if last else set()
    try:
        (ROOT / "galaxy.yml").write_text(galaxy, encoding="utf-8")
        write(ROOT, version, then)
        _run(".venv/bin/antsibull-changelog", "release", "--version", version)
        _run("tools/collection")
        (ROOT / "build/dist/SHA256SUMS").write_text(sums(ROOT / "build/dist"), encoding="utf-8")
        _run("git", "add", "--all")
        _run("git", "commit", "--quiet", "--message", f"Release {version}")
        _run("git", "tag", "--annotate", version, "--message", f"kvmfleet.sriov {version}")
    except (ReleaseError, OSError) as error:
        raise HalfMadeError(str(error)) from error


def main(arguments: list[str]) -> int:
    """Entry point of ``make release``."""
    try:
        release(*[*arguments, "", ""][:2])
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        if isinstance(error, HalfMadeError):
            print(
                "release: it was begun on a clean checkout; 'git status' and 'git log -1' show what of it is there, "
                "and 'git stash --include-untracked' puts aside what is not committed",
                file=sys.stderr,
            )
        return 1
    print("release: build/dist has the tarball and SHA256SUMS; the commit and the tag are in this checkout alone.")
    print(hint(arguments[0], (ROOT / "galaxy.yml").read_text(encoding="utf-8")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
