# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`tools/setup` where apt lacks the source of a kernel base."""

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
    "apt-get": 'echo "apt-get $*"',
}


@pytest.mark.parametrize("offered", ["yes", "no"])
def test_only_the_sources_that_apt_offers_are_installed(tmp_path: Path, offered: str) -> None:
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "bases").write_text(BASES)
    path, bases = f"{tmp_path}:{os.environ['PATH']}", str(tmp_path / "bases")
    environment = {**os.environ, "PATH": path, "OFFERED": offered, "KVMFLEET_KERNEL_BASES": bases}
    done = subprocess.run(
        [ROOT / "tools/setup"], env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    output, note = done.stdout + done.stderr, "setup: note: apt has no linux-source-6.18\n"
    assert (note in output, "linux-source-6.18" in output.replace(note, "")) == (offered == "no", offered == "yes")
    assert done.returncode == 0, output
