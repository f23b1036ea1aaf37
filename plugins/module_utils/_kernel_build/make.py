# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make for a kernel: its environment, its object trees, and its errors."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .._model.errors import SriovError
from .toolchain import Toolchain


def object_folder(base: Path, config_sha256: str) -> Path:
    """Object tree of a configuration.

    ``obj`` for the first one seen, ``obj-...`` for others.
    """
    mark = ".kvmfleet-config"
    first = base / "obj"
    mine = (first / mark).read_bytes().strip() == config_sha256.encode() if (first / mark).exists() else True
    folder = first if mine else base / f"obj-{config_sha256[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / mark).write_text(config_sha256 + "\n", encoding="utf-8")
    return folder


def environment(package_version: str, epoch: int, headers: bool, tools: Toolchain) -> dict[str, str]:
    """Environment for kbuild (Documentation/kbuild/kbuild.rst, scripts/package/mkdebian).

    The same inputs give the same kernel image: user, host and times come from the source, not from this machine, and of
    its variables come those of the key and those that change nothing. ``epoch``: the time of the source, which
    SOURCE_DATE_EPOCH overrides.
    """
    epoch = int(tools.settings.get("SOURCE_DATE_EPOCH", epoch))
    fixed = {
        "LC_ALL": "C",
        "KBUILD_BUILD_USER": "kvmfleet",
        "KBUILD_BUILD_HOST": "build",
        "KBUILD_BUILD_TIMESTAMP": time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(epoch)),
        "SOURCE_DATE_EPOCH": str(epoch),
        "KDEB_PKGVERSION": package_version,
        "KDEB_CHANGELOG_DIST": "stable",
        "KDEB_COMPRESS": "zstd",
        "DEB_BUILD_OPTIONS": "terse",
        "DEB_BUILD_PROFILES": " ".join(_profiles(headers)),
    }
    return {**tools.harmless, **tools.settings, **fixed}


def _profiles(headers: bool) -> list[str]:
    names = ["nokerneldbg"] if headers else ["nokernelheaders", "nokerneldbg"]
    return [f"pkg.linux-upstream.{name}" for name in names]


@dataclass(frozen=True)
class Make:
    """Calls of make, with an object tree and a log."""

    tree: Path
    objects: Path
    log: Path
    lock: int
    env: dict[str, str]

    def run(self, arguments: list[str]) -> None:
        """Run make and wait; raises with the error lines of its output."""
        argv = ["make", "-C", str(self.tree), f"O={self.objects}", *arguments]
        with self.log.open("a", encoding="utf-8") as log:
            start = log.tell()
            log.write(f"\n{time.strftime('%F %T')} {' '.join(argv)}\n")
            log.flush()
            status = subprocess.run(
                argv,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(self.lock,),
                check=False,
            ).returncode
        if status:
            output = self.log.read_text(encoding="utf-8", errors="replace")[start:]
            raise SriovError(f"'{' '.join(argv)}' failed with status {status} ({self.log}):\n{_reason(output)}")


def _reason(output: str) -> str:
    """Error lines in make's output, from the first one on.

    15 lines at most.
    """
    lines = output.splitlines()
    errors = (n for n, line in enumerate(lines) if re.search(r"\berror\b|\bError \d|\*\*\*", line))
    first = next(errors, max(len(lines) - 15, 0))
    return "\n".join(lines[first:][:15])
