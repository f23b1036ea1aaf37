# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`tools/setup` where apt lacks a kernel source or a boot loader."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BASES = "6.12 linux-source-6.12 6.12.117 6.12 a.config\n6.18 linux-source-6.18 6.18.1 - b.config\n"
PROGRAMS = {
    "dpkg-query": 'test "$1" != -Wf && shift 3 && printf "%s installed\\n" "$@" | grep -v linux-source-6.18',
    "dpkg": "exit 0",
    "apt-cache": 'test "$OFFERED" = yes',
    "apt-get": """echo "apt-get $*"
test "$1" != "$FAILING" || { echo "E: no such thing" >&2; exit 100; }
test "$1" != download || { test "$3" != "$LACKING" && touch "$3_1_amd64.deb"; }""",
    "dpkg-deb": 'mkdir -p "$3" && echo "$(basename "$2")" >>"$3/files"',
}
LOADERS = ["grub-efi-amd64-bin", "grub-efi-amd64-signed", "shim-signed", "systemd-boot-efi", "btrfs-progs", "zfs-fuse"]


def setup(folder: Path, offered: str = "yes", lacking: str = "", failing: str = "-") -> str:
    """What tools/setup prints, and apt into its log, with played programs."""
    for name, text in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    (folder / "bases").write_text(BASES)
    played = {"PATH": f"{folder}:{os.environ['PATH']}", "KVMFLEET_KERNEL_BASES": str(folder / "bases")}
    played |= {"KVMFLEET_CACHE": str(folder / "cache"), "OFFERED": offered, "LACKING": lacking, "FAILING": failing}
    log = folder / "logs/setup.log"
    played["KVMFLEET_SETUP_LOG"] = str(log)
    done = subprocess.run(
        [ROOT / "tools/setup"], env=os.environ | played, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "apt-get install" not in done.stdout.replace("and that of apt-get install", "")
    return done.stdout + done.stderr + (log.read_text() if log.exists() else "")


@pytest.mark.parametrize("offered", ["yes", "no"])
def test_only_the_sources_that_apt_offers_are_installed(tmp_path: Path, offered: str) -> None:
    output, note = setup(tmp_path, offered), "setup: note: apt has no linux-source-6.18\n"
    assert (note in output, "linux-source-6.18" in output.replace(note, "")) == (offered == "no", offered == "yes")


def unpacked(folder: Path) -> list[str]:
    return (folder / "cache/boot_loaders/files").read_text().split()


def test_boot_loaders_are_unpacked_once_and_not_installed(tmp_path: Path) -> None:
    """Their packages' scripts would write the machine's own boot loader."""
    output = setup(tmp_path)
    assert unpacked(tmp_path) == [f"{name}_1_amd64.deb" for name in LOADERS]
    assert not any(name in line for line in output.splitlines() if " install " in line for name in LOADERS)
    setup(tmp_path)
    assert unpacked(tmp_path) == [f"{name}_1_amd64.deb" for name in LOADERS]
    assert sorted(path.name for path in (tmp_path / "cache/boot_loaders").iterdir()) == ["files", "packages"]


def test_boot_loaders_that_apt_lacks_are_named(tmp_path: Path) -> None:
    assert "note: apt has no shim-signed: tests of boot loaders that need them are skipped" in setup(
        tmp_path, lacking="shim-signed"
    )
    assert len(unpacked(tmp_path)) == len(LOADERS) - 1
    assert "apt has no shim-signed:" not in setup(tmp_path)
    assert unpacked(tmp_path)[-1] == "shim-signed_1_amd64.deb"


def test_what_apt_says_is_shown_when_it_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as error:
        setup(tmp_path, failing="install")
    words = "E: no such thing", f"setup: apt-get install failed (all of it: {tmp_path}/logs/setup.log)"
    assert all(word in str(error.value) for word in words)
