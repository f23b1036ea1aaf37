# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt removes, with the setting of role kernel_deploy and without it.

Real: apt, dpkg, python3-apt. All packages are marked as installed automatically, and nothing depends on them. apt keeps
the kernel that this machine runs by itself, which none of these is.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fake.boot.apt_root import AptRoot

DEFAULT, RUNNING, NEW = "6.1.0-18-amd64", "6.12.9+bpo-amd64", "6.0.9-kvmfleet1"
OTHERS = ("6.1.0-18-amd64-unsigned", "6.12.9bpo-amd64", "6.13.1-1-amd64")
"""Names like those that stay: a setting is a regular expression."""
PARTS = ("linux-image-", "linux-modules-extra-")
AUTOMATIC = """import apt
print(*(package.name for package in apt.Cache() if package.is_auto_removable))
"""
"""What unattended-upgrades asks (get_auto_removable).

It removes those of them that are kernels with `Unattended-Upgrade::Remove-Unused-Kernel-Packages`, and all of them with
`Remove-Unused-Dependencies`.
"""
PURGE = ("apt-get", "autoremove", "--purge", "--yes")
REMOVALS = {
    "apt-get": (("apt-get", "autoremove", "--yes"), "lib/modules"),
    "purge": (PURGE, "lib/modules"),
    "apt": (("apt", "--yes", "autoremove"), "lib/modules"),
    "upgrade": (("apt-get", "--yes", "--auto-remove", "dist-upgrade"), "lib/modules"),
    "modules below usr, as later Debian packs them": (PURGE, "usr/lib/modules"),
}
PYTHON = "/usr/bin/python3"

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not on this machine")
needs_python_apt = pytest.mark.skipif(
    subprocess.run([PYTHON, "-c", "import apt"], capture_output=True).returncode != 0,
    reason="python3-apt is not on this machine",
)


def names(*releases: str) -> set[str]:
    return {part + release for release in releases for part in PARTS}


ALL = names(DEFAULT, RUNNING, NEW, *OTHERS)


def kernels(folder: Path, modules: str) -> AptRoot:
    """Return a root with kernels that nobody asked for by name."""
    host = AptRoot(folder)
    host.variables["kernel_deploy_wanted"] = {"packages": [{"name": name} for name in sorted(names(NEW))]}
    made = []
    for name in sorted(ALL):
        release = name.removeprefix(PARTS[0]).removeprefix(PARTS[1])
        file = f"boot/vmlinuz-{release}" if name.startswith(PARTS[0]) else f"{modules}/{release}/extra/a.ko"
        made.append(str(host.package(name, files=[file])))
    assert host.run("dpkg", "--install", *made).returncode == 0
    assert host.run("apt-mark", "auto", *sorted(ALL)).returncode == 0
    return host


def left(host: AptRoot) -> set[str]:
    return {name for name in ALL if host.state(name) == "installed"}


@needs_apt
@pytest.mark.parametrize(("removal", "modules"), REMOVALS.values(), ids=REMOVALS.keys())
def test_kernels_that_stay(tmp_path: Path, removal: tuple[str, ...], modules: str) -> None:
    host = kernels(tmp_path, modules)
    host.protect(DEFAULT, RUNNING)
    done = host.run(*removal)
    assert done.returncode == 0, done.stderr
    assert left(host) == names(DEFAULT, RUNNING, NEW)


@needs_apt
def test_without_the_setting_they_are_removed(tmp_path: Path) -> None:
    host = kernels(tmp_path, "lib/modules")
    assert host.run(*PURGE).returncode == 0
    assert not left(host)


@needs_apt
@needs_python_apt
def test_what_unattended_upgrades_takes_for_unused(tmp_path: Path) -> None:
    host = kernels(tmp_path, "lib/modules")
    before = set(host.run(PYTHON, "-c", AUTOMATIC).stdout.split())
    assert before == ALL
    host.protect(DEFAULT, RUNNING)
    assert set(host.run(PYTHON, "-c", AUTOMATIC).stdout.split()) == before - names(DEFAULT, RUNNING, NEW)


@needs_apt
def test_whoever_removes_it_by_name_may(tmp_path: Path) -> None:
    """The setting is no hold."""
    host = kernels(tmp_path, "lib/modules")
    host.protect(DEFAULT, RUNNING)
    first, second = sorted(names(DEFAULT))
    assert host.run("dpkg", "--purge", first).returncode == 0
    assert host.run("apt-get", "purge", "--yes", second).returncode == 0
    assert (host.state(first), host.state(second)) == ("", "")
