# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines of role kernel_deploy, with the real apt, dpkg and shell."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.fake.boot.apt_root import AptRoot

ASK = 'echo "*** System restart required ***" >"$0"; echo "$DPKG_MAINTSCRIPT_PACKAGE" >>"$0.pkgs"'
"""What /etc/kernel/postinst.d/unattended-upgrades and update-notifier do."""
IMAGE = "linux-image-6.12.9-kvmfleet1"

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not on this machine")


@pytest.fixture
def host(tmp_path: Path) -> AptRoot:
    return AptRoot(tmp_path, IMAGE)


@needs_apt
def test_a_package_is_installed_and_installed_again(host: AptRoot) -> None:
    """It counts as installed by hand; no reboot is asked for."""
    host.hook.write_text(ASK.replace("$0", str(host.asking)))
    for _again in range(2):
        done = host.install()
        assert (done.returncode, host.state(IMAGE)) == (0, "installed"), done.stderr
        assert not list(host.asking.parent.iterdir())
    marks = host.root / "var/lib/apt/extended_states"
    assert not marks.exists() or IMAGE not in marks.read_text()


@needs_apt
def test_a_hook_that_fails_asks_for_no_reboot_either(host: AptRoot) -> None:
    host.hook.write_text(ASK.replace("$0", str(host.asking)) + "\necho hook failed >&2; exit 1")
    done = host.install()
    assert (done.returncode, host.state(IMAGE)) == (100, "half-configured")
    assert "hook failed" in done.stderr + done.stdout
    assert not list(host.asking.parent.iterdir())


@needs_apt
@pytest.mark.parametrize("lock", ["var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock", "var/cache/apt/archives/lock"])
def test_locks_of_others_are_waited_for(host: AptRoot, lock: str) -> None:
    holder = host.hold(lock)
    end = threading.Timer(1, lambda: holder.communicate("\n"))
    end.start()
    done = host.install()
    end.join()
    assert (done.returncode, host.state(IMAGE)) == (0, "installed"), done.stderr
    holder = host.hold("var/lib/dpkg/lock")
    end = threading.Timer(0.5, lambda: holder.communicate("\n"))
    end.start()
    assert host.run("dpkg", "--remove", IMAGE).returncode == 0
    end.join()


@needs_apt
def test_waiting_ends(host: AptRoot) -> None:
    host.variables["kernel_deploy_lock_timeout"] = 1
    holder = host.hold("var/lib/dpkg/lock")
    done = host.install()
    holder.communicate("\n")
    assert done.returncode == 100
    assert "another process" in done.stderr
    assert host.state(IMAGE) == ""


@needs_apt
def test_what_was_interrupted_is_finished_first(host: AptRoot) -> None:
    """apt refuses to work before that."""
    host.hook.write_text("exit 1")
    assert host.install().returncode != 0
    (host.root / "var/lib/dpkg/updates/0001").write_text("")
    assert "dpkg was interrupted" in host.install().stderr
    host.hook.write_text("")
    assert host.run("dpkg", "--force-confdef", "--force-confold", "--configure", "--pending").returncode == 0
    assert host.install().returncode == 0


@needs_apt
def test_no_other_package_is_removed_for_it(host: AptRoot) -> None:
    other = host.package("zfs-dkms", f"Conflicts: {IMAGE}\n")
    assert host.run("dpkg", "--install", str(other)).returncode == 0
    assert host.install().returncode != 0
    assert (host.state("zfs-dkms"), host.state(IMAGE)) == ("installed", "")


ASKED: dict[str, tuple[str | None, str | None, bool, list[str]]] = {
    "nobody asks": (None, None, False, []),
    "ours alone": (None, IMAGE, False, []),
    "ours, which an interrupted run has left": (IMAGE, IMAGE, False, []),
    "another package had asked": ("libc6", f"libc6 {IMAGE}", True, ["libc6"]),
    "another one with ours in its name": (None, f"{IMAGE} {IMAGE}-dbg", True, [f"{IMAGE}-dbg"]),
    "somebody had asked without a name": ("", IMAGE, True, []),
    "a hook without names": (None, "", False, []),
    "somebody had, and a hook without names": ("", "", True, []),
}


@pytest.mark.parametrize(("before", "after", "there", "names"), ASKED.values(), ids=ASKED.keys())
def test_who_asks_for_a_reboot(
    host: AptRoot, before: str | None, after: str | None, there: bool, names: list[str]
) -> None:
    pkgs = host.asking.with_name("reboot-required.pkgs")

    def ask(text: str | None) -> None:
        if text is not None:
            host.asking.write_text("")
        if text:
            pkgs.write_text("".join(f"{name}\n" for name in text.split()))

    def run(when: str) -> None:
        script = str(host.role("kernel_deploy_no_reboot"))
        subprocess.run(["sh", "-c", script, "sh", host.asking, when, IMAGE, "linux-headers"], check=True)

    ask(before)
    run("before")
    ask(after)
    for when in ("after", "run", "run"):
        run(when)
        assert (host.asking.exists(), pkgs.read_text().split() if pkgs.exists() else []) == (there, names)
    assert {path.name for path in host.asking.parent.iterdir()} <= {"reboot-required", "reboot-required.pkgs"}


def test_packages_of_a_repository_get_the_names_of_the_manifest(host: AptRoot, tmp_path: Path) -> None:
    """Beside what an interrupted run has left."""
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin/apt-get"
    tool.write_text('#!/bin/sh\ntest "$3" != linux-none=1 || exit 100\necho "$3" >"a_1%3a_all.deb"\n')
    tool.chmod(0o755)
    (tmp_path / "new").mkdir()
    (tmp_path / "new/a_0_all.deb").write_text("")
    for name, status in ((IMAGE, 0), ("linux-none", 100)):
        words = ["sh", "-c", str(host.role("kernel_deploy_download")), "sh", name, "1", f"{name}.deb"]
        environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
        assert subprocess.run(words, cwd=tmp_path, env=environment).returncode == status
    assert (tmp_path / f"{IMAGE}.deb").read_text() == f"{IMAGE}=1\n"


@pytest.mark.parametrize("own", [False, True])
def test_a_number_of_the_operator_stays(host: AptRoot, tmp_path: Path, own: bool) -> None:
    ours, tries = tmp_path / "ours", tmp_path / "tries"
    tries.write_text("5\n") if own else tries.symlink_to(ours)
    for _again in range(2):
        words = ["sh", "-c", str(host.role("kernel_deploy_uncount")), "sh", str(tries), str(ours)]
        assert subprocess.run(words).returncode == 0
        assert tries.is_symlink() is False
        assert tries.exists() is own
