# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role kernel_deploy, with a boot loader and a dpkg that are played.

Real: the role and Ansible. The played `boot_entry` answers from files that the played dpkg may replace.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fake.boot.deployed import NEW, OLD, Host, changed, start

pytestmark = pytest.mark.slow  # runs of ansible-playbook
UPDATE_GRUB = Path(__file__).parents[3] / "roles/kernel_deploy/files/update-grub"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_kernel_is_installed_beside_a_pinned_default(host: Host) -> None:
    """By apt; older kernels are removed by count."""
    (host.folder / "interrupted").write_text("")
    (host.folder / "tries").write_text("5\n")
    (host.folder / "ledger").write_text(f"6.1-a image-a dbg-a\n{OLD} image-old\n6.1-fall image-f\n6.2-c image-c\n")
    answer = json.loads((host.folder / "boot.json").read_text())
    (host.folder / "boot.json").write_text(
        json.dumps({**answer, "loader": "systemd-boot", "on_failure": start("6.1-fall")})
    )
    check = host.run("--check", kernel_deploy_keep=2)
    assert (check.returncode, host.installed, host.texts("dpkg.log")) == (0, False, []), check.stdout
    assert not (host.folder / "programs").exists()
    done = host.run(kernel_deploy_keep=2, kernel_deploy_lock_timeout=77)
    assert (done.returncode, host.installed) == (0, True), done.stdout
    own = host.folder / "programs/update-grub"
    assert (own.read_bytes(), own.stat().st_mode & 0o777) == (UPDATE_GRUB.read_bytes(), 0o755)
    words = (host.folder / "apt").read_text().split("|")
    assert words[-4:-1] == [f"{host.folder}/staging/0123456789ab/linux-image.deb", "noninteractive", "1"]
    assert {"DPkg::Lock::Timeout=77", "--reinstall"} <= set(words)
    assert host.texts("dpkg.log")[0] == "--force-confdef --force-confold --configure --pending"
    kept = [line for line in host.texts("apt.conf") if line.startswith("APT")]
    assert kept == [
        f'APT::NeverAutoRemove:: "^{name}$";'
        for name in ("linux-base[+]x", "linux-image", "linux-image-6[.]1[.]0-18-amd64")
    ]
    assert [line for line in host.texts("dpkg.log") if "purge" in line] == ["--purge -- image-a dbg-a"]
    assert [line.split()[0] for line in host.texts("ledger")] == [OLD, "6.1-fall", "6.2-c", NEW]
    assert (host.texts("counted"), host.texts("tries")) == (["5"], ["5"])
    again = host.run(kernel_deploy_keep=2)
    assert changed(again.stdout) == 0, again.stdout


REFUSED = {
    "not pinned": (start(OLD, pinned=False), None, None, "not pinned"),
    "without its initrd": (start(OLD, missing=("/boot/initrd.img",)), None, None, "installing another kernel could"),
    "another one waits": (start(OLD), start(NEW), None, f"starts /boot/vmlinuz-{NEW} next"),
    "the same release": (start(NEW), None, None, "replace a kernel that has shown"),
    "the same release, on failure": (start(OLD), None, start(NEW), "replace a kernel that has shown"),
}


@pytest.mark.parametrize(("default", "following", "failing", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_hosts_whose_default_could_change_are_refused(
    host: Host, default: dict[str, Any], following: dict[str, Any] | None, failing: dict[str, Any] | None, words: str
) -> None:
    host.boots(default, following, failing)
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
def test_a_default_that_moves_is_taken_back_with_what_was_installed(host: Host, status: int) -> None:
    """Removing it writes the boot loader's configuration again, too."""
    host.dpkg(boots=start(NEW, pinned=False), status=status)
    done = host.run()
    assert done.returncode != 0
    assert "what was installed is taken away" in " ".join(done.stdout.split())
    assert not host.installed
    assert json.loads((host.folder / "boot.json").read_text())["default"]["release"] == OLD
    assert host.texts("dpkg.log")[-1] == "--remove --force-remove-reinstreq -- linux-image"


def test_a_default_that_stays_moved_is_set_back(host: Host) -> None:
    host.dpkg(boots=start(NEW, pinned=False), status=1)
    (host.folder / "bin/dpkg").write_text("#!/bin/sh\nexit 1\n")
    done = host.run()
    assert done.returncode != 0
    assert "nothing was taken away" in " ".join(done.stdout.split())
    assert json.loads((host.folder / "boot.json").read_text())["default"]["release"] == OLD


def test_a_second_run_judges_as_the_first(host: Host) -> None:
    """The first was killed between dpkg and its verification."""
    assert host.run().returncode == 0
    (host.folder / "before.json").write_text((host.folder / "boot.json").read_text())
    host.boots(start(NEW, pinned=False))
    done = host.run()
    assert done.returncode != 0
    assert f"starts /boot/vmlinuz-{NEW} now" in " ".join(done.stdout.split())
    assert not host.installed


def test_another_build_in_the_place_of_the_default_is_named(host: Host) -> None:
    """In each run, whoever has put it there."""
    assert host.run().returncode == 0
    (host.folder / "replaced").write_text("")
    done = host.run()
    assert done.returncode != 0
    assert "its file is another build than the one that was wanted" in " ".join(done.stdout.split())
    assert host.installed


def test_another_default_of_an_operator_is_named_and_left_alone(host: Host) -> None:
    assert host.run().returncode == 0
    host.boots(start("6.6.1-other"))
    done = host.run()
    assert done.returncode != 0
    assert host.installed
    assert json.loads((host.folder / "boot.json").read_text())["default"]["release"] == "6.6.1-other"


@pytest.mark.parametrize("content", [b"package", b"another build"])
def test_packages_of_a_repository(host: Host, content: bytes) -> None:
    """By name and version; another build is refused by its checksum."""
    (host.folder / "repository.deb").write_bytes(content)
    answer = json.loads((host.folder / "boot.json").read_text())
    (host.folder / "boot.json").write_text(json.dumps({**answer, "loader": "systemd-boot"}))
    done = host.run(kernel_deploy_from_repository=True, kernel_deploy_confirm=True)
    words = (host.folder / "apt").read_text().split("|")
    assert ("update" in words, "linux-image=1" in words) == (True, True)
    assert (done.returncode == 0, host.installed) == (content == b"package",) * 2, done.stdout
    assert not (host.folder / "staging/0123456789ab").exists()
    assert not (host.folder / "tries").is_symlink()
    if content == b"package":
        assert host.texts("counted") == ["3"]
        assert f"{NEW} False" in (host.folder / "asked").read_text()
    else:
        assert "put this build into the repository" in done.stdout


def test_the_running_kernel_is_never_taken_away(host: Host) -> None:
    (host.folder / "running").write_text(f"{NEW}\n")
    host.dpkg(status=1)
    done = host.run(kernel_deploy_replace_running=True)
    assert done.returncode != 0
    assert [line.split()[0] for line in host.texts("dpkg.log")] == ["--install"]


def test_a_failed_installation_says_what_starts(host: Host) -> None:
    host.dpkg(status=1)
    done = host.run()
    assert done.returncode != 0
    text = " ".join(done.stdout.split())
    assert "hook failed" in text
    assert f"h1 starts /boot/vmlinuz-{OLD} by default, as before; what was installed is taken away" in text
    assert not host.installed


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


def test_what_may_not_boot_is_taken_away_again(host: Host) -> None:
    (host.folder / "problems-boot").write_text("initrd has not the program lvm")
    for _run in range(2):
        done = host.run()
        assert done.returncode != 0
        assert "initrd has not the program lvm" in done.stdout
        assert not host.installed


def test_what_may_not_boot_any_more_fails_every_run(host: Host) -> None:
    """It finds nothing to install, and stays, as nothing starts it."""
    assert host.run().returncode == 0
    (host.folder / "problems-boot").write_text("initrd has not the program lvm")
    for arguments in ((), ("--check",)):
        done = host.run(*arguments)
        assert done.returncode != 0
        assert "initrd has not the program lvm" in done.stdout
    assert host.installed


def test_damaged_files_are_installed_again(host: Host) -> None:
    assert host.run().returncode == 0
    (host.folder / "damaged").write_text("")
    assert changed(host.run("--check").stdout) > 0
    (host.folder / "damaged").unlink()
    assert changed(host.run("--check").stdout) == 0


def test_an_inventory_is_no_choice_of_hosts(host: Host) -> None:
    done = host.run(kernel_deploy_hosts=None)
    assert done.returncode != 0
    assert "No host was chosen, so none was touched. Say which, with -e kernel_deploy_hosts=PATTERN" in done.stdout
    assert "h1" not in done.stdout
