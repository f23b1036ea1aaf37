# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that a kernel is deployed to, step by step.

As role kernel_deploy does it. Real: modules boot_entry and boot_trial, the guard, grub-mkconfig, grub-editenv, the
role's update-grub, and the GRUB that boots in QEMU. Played: dpkg's files, kernels, systemd, uplinks, the clock.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from ansible.module_utils.testing import patch_module_args

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import guard, health, loaders, proven, trial
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.answer import Answer
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.modules import boot_entry, boot_trial
from tests.fake.boot import kernel
from tests.fake.boot.grub import NEW, OLD, GrubRoot, entry
from tests.fake.boot.power_cut import Power

SETTINGS = "GRUB_DEFAULT=saved\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\n"
UPDATE_GRUB = Path(__file__).resolve().parents[2] / "roles/kernel_deploy/files/update-grub"
INSTALLED = "var/lib/dpkg/installed"
STATE = ("boot", "etc", "proc", "run", "var")
"""Folders that change."""
BLOCK = "boot/grub/grubenv"
LONG_S = 100_000.0


class Enough(BaseException):
    """Ends the guard where the story goes on without it."""


class DeployHost:
    """The host below ``folder``; it runs the old kernel."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.power = Power(folder / "power")
        self.root = GrubRoot.make(folder / "root", OLD)
        self.root.settings(SETTINGS)
        (self.root.folder / "var/lib/dpkg").mkdir(parents=True)
        self.put("sys/class/net/eno1/carrier", b"1\n")
        self.root.update()
        self.root.environment(f"saved_entry={entry(OLD)}")
        self.root.cut = self.power.step
        for program in ("/usr/sbin/grub-mkconfig", "/bin/chmod", "/bin/mv", "/bin/sync"):
            self.power.shim(program)
        self.power.shim("/bin/cat", only="*.new")  # grub-mkconfig has emptied its target by then
        self.boots, self.kept, self.clock = 0, 0, 0.0
        self.started: dict[str, tuple[str, bytes]] = {}
        self.booted(OLD, "root=/dev/vdb ro")

    @property
    def sysfs(self) -> Sysfs:
        return Sysfs(str(self.root.folder))

    def put(self, name: str, data: bytes) -> None:
        path = self.root.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def answer(self) -> Answer:
        return loaders.find(self.sysfs, self.root.run).answer()

    def run(self, argv: Sequence[str]) -> str:
        """Programs of the host; each is a step."""
        self.power.step()
        if argv[0].startswith("grub-"):
            return self.root.run(argv)
        if argv[0] == "ip":
            return '[{"dst":"default","gateway":"10.0.0.1","dev":"eno1"}]' if argv[1] == "-4" else "[]"
        return "running\n" if "--property=SystemState" in argv else ""

    def module(self, main: Callable[..., object], **arguments: object) -> dict[str, Any]:
        """Run a module; raises AssertionError where it fails."""
        said = io.StringIO()
        with (
            mock.patch.object(health.problems, "__defaults__", (lambda *_: True,)),
            mock.patch.object(os, "sync", self.power.step),  # not of all disks of this machine
            patch_module_args(arguments), contextlib.redirect_stdout(said), contextlib.suppress(SystemExit),
        ):  # fmt: skip
            main(self.sysfs, self.run)
        answer = dict(json.loads(said.getvalue()))
        assert not answer.get("failed"), answer
        return answer

    # The role's steps, in their order.

    def keep_default(self) -> None:
        self.module(boot_entry.main, keep=True, after_update=True)

    def install(self) -> None:
        """Unpack, run hooks, and note it, as dpkg does."""
        for name, data in ((f"vmlinuz-{NEW}", kernel.image(NEW)), (f"initrd.img-{NEW}", b"initrd")):
            path = self.root.folder / "boot" / name
            path.with_name(f"{name}.dpkg-new").write_bytes(data)
            os.rename(path.with_name(f"{name}.dpkg-new"), path)
        self.power.step()
        self.root.within(["env", f"PATH={self.power.programs}:{os.environ['PATH']}", str(UPDATE_GRUB)])
        self.power.step()
        self.put(INSTALLED, b"")

    def arm(self) -> None:
        self.module(boot_trial.main, state="armed", release=NEW)

    def boot(self) -> None:
        self.power_on()

    def judge(self) -> None:
        """Run the guard until the kernel is healthy."""
        with contextlib.suppress(Enough):
            self.guard(until=trial.HEALTHY)

    def confirm(self) -> None:
        self.module(boot_trial.main, state="confirmed")

    def withdraw(self) -> None:
        self.module(boot_trial.main, state="withdrawn")

    def watch(self) -> None:
        """Run the guard to its end; nobody confirms."""
        self.guard()

    # What follows on a host.

    def guard(self, until: str = "") -> None:
        def sleep(seconds: float) -> None:
            self.clock += seconds
            if self.phase() == until:
                raise Enough
            assert self.clock < LONG_S, "the guard does not end"

        self.clock = 0.0
        guard.Guard(
            self.sysfs, self.run, list, lambda _line: None, lambda: None, reach=lambda *_: True,
            now=lambda: self.clock, sleep=sleep,
        ).watch()  # fmt: skip

    def phase(self) -> str:
        found = trial.load(self.sysfs)
        return found.phase if found else ""

    def is_proven(self) -> bool:
        return kernel.version(NEW) in proven.builds(self.sysfs)

    def power_on(self) -> str:
        """Boot by the real GRUB; the release that it starts.

        The reader of grub.cfg must have said so.
        """
        expected = self.answer().next
        release = self._started()
        assert expected.release == release, f"{expected.release} was to start, and GRUB started {release}"
        self.booted(release, expected.command_line)
        return release

    def booted(self, release: str, command_line: str) -> None:
        self.boots += 1
        shutil.rmtree(self.root.folder / "run", ignore_errors=True)
        self.root.host(release)
        self.put("proc/sys/kernel/random/boot_id", f"b{self.boots}\n".encode())
        self.put("proc/cmdline", f"BOOT_IMAGE=/boot/vmlinuz-{release} {command_line}\n".encode())

    def _started(self) -> str:
        """What GRUB starts, and what it leaves in grubenv.

        The same files give the same.
        """
        files = sorted(path for path in (self.root.folder / "boot").rglob("*") if path.is_file())
        key = hashlib.sha256(repr([(str(path), path.read_bytes()) for path in files]).encode()).hexdigest()
        if key not in self.started:
            disk = self.root.disk()
            release = disk.start()
            left = self.folder / "grubenv"
            subprocess.run(["debugfs", "-R", f"dump /{BLOCK} {left}", disk.image], check=True, capture_output=True)
            self.started[key] = (release, left.read_bytes())
        release, block = self.started[key]
        self.put(BLOCK, block)
        return release

    def state(self) -> str:
        """Digest of the host's files, as a boot finds them."""
        places = [self.root.folder / name for name in STATE if name != "run"]
        files = sorted(path for place in places for path in place.rglob("*") if path.is_file())
        return hashlib.sha256(repr([(str(path), path.read_bytes()) for path in files]).encode()).hexdigest()

    def keep(self) -> None:
        """Keep the host's files as they are, for `restore`."""
        self.kept = self.boots
        shutil.rmtree(self.folder / "kept", ignore_errors=True)
        for name in STATE:
            if (self.root.folder / name).exists():
                shutil.copytree(self.root.folder / name, self.folder / "kept" / name, symlinks=True)

    def restore(self) -> None:
        self.boots = self.kept
        for name in STATE:
            shutil.rmtree(self.root.folder / name, ignore_errors=True)
            if (self.folder / "kept" / name).exists():
                shutil.copytree(self.folder / "kept" / name, self.root.folder / name, symlinks=True)
