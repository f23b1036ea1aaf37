# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `kernel_check` on a played host."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_package.facts import SECURE_BOOT
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.modules import kernel_check

OLD, NEW, VERSION = "6.1.0-18-amd64", "6.12.9-kvmfleet1", "6.12.9-1+0123456789ab"
NAME = f"linux-image-{NEW}"
MODULE = f"/lib/modules/{NEW}/kernel/nvme.ko"
LISTING = "usr/sbin/lvm\nusr/lib/modules/6/kernel/nvme.ko\n"
Call = Callable[..., dict[str, Any]]


class Host:
    """A host with both kernels, as far as the module looks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers: dict[str, str] = {
            "dpkg --print-architecture": "amd64\n", f"dpkg-query -- {NAME}": f"{VERSION} installed",
            f"lsinitramfs {root}/boot/initrd.img-{OLD}": LISTING, f"lsinitramfs {root}/boot/initrd.img-{NEW}": LISTING,
        }  # fmt: skip
        for release in (OLD, NEW):
            self.put(f"/boot/vmlinuz-{release}", f"image {release}")
            self.put(f"/boot/initrd.img-{release}", "initrd")
        self.put("/proc/sys/kernel/osrelease", OLD)
        self.put(MODULE, "nvme")
        sums = f"{hashlib.md5(b'nvme', usedforsecurity=False).hexdigest()}  {MODULE[1:]}\n"
        self.put(f"/var/lib/dpkg/info/{NAME}.md5sums", sums)

    def put(self, path: str, text: str) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, argv: Sequence[str]) -> str:
        words = [word for word in argv if not word.startswith("--show")]
        try:
            return self.answers[" ".join(words)]
        except KeyError:
            raise ToolError(argv, 127, "") from None

    @property
    def manifest(self) -> dict[str, Any]:
        sha256 = hashlib.sha256(f"image {NEW}".encode()).hexdigest()
        package = {"name": NAME, "version": VERSION, "file": "a.deb", "sha256": "b" * 64}
        return {
            "schema": 2, "key": "0123456789ab", "release": NEW, "architecture": "amd64", "packages": [package],
            "image": {"file": f"/boot/vmlinuz-{NEW}", "sha256": sha256},
        }  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def call(host: Host, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(**args: object) -> dict[str, Any]:
        with patch_module_args({"manifest": host.manifest, **args}), pytest.raises(SystemExit):
            kernel_check.main(Sysfs(str(host.root)), host.run)
        return dict(json.loads(capsys.readouterr().out))

    return run


def test_a_kernel_that_may_boot(call: Call) -> None:
    asked: list[dict[str, str]] = [{"before": "install"}, {"before": "boot"}, {}]
    for arguments in asked:
        answer = call(**arguments)
        assert not answer["changed"]
        assert (answer["installed"], answer["packages_installed"], answer["damaged"]) == (True, True, [])
        assert (answer["initrd"], answer["running"]) == (f"/boot/initrd.img-{NEW}", OLD)


def test_what_is_not_installed(host: Host, call: Call) -> None:
    del host.answers[f"dpkg-query -- {NAME}"]
    answer = call()
    assert (answer["installed"], answer["packages_installed"]) == (False, False)
    assert call(before="boot")["msg"].startswith(f"package {NAME} {VERSION} is wanted, dpkg has: not there")


@pytest.mark.parametrize("state", ["half-configured", "unpacked", "config-files"])
def test_an_interrupted_installation_is_none(host: Host, call: Call, state: str) -> None:
    host.answers[f"dpkg-query -- {NAME}"] = f"{VERSION} {state}"
    assert not call()["installed"]
    assert f"dpkg has: {VERSION} {state}" in call(before="boot")["msg"]


def test_an_interrupted_dpkg(host: Host, call: Call) -> None:
    """A package in part, of whatever name, or changes not merged."""
    for answer, waiting in (("installed\nconfig-files\n", False), ("installed\nhalf-configured\n", True)):
        host.answers["dpkg-query"] = answer
        assert call()["interrupted"] is waiting
    host.answers["dpkg-query"] = "installed\n"
    host.put("/var/lib/dpkg/updates/tmp.i", "")
    assert not call()["interrupted"]
    host.put("/var/lib/dpkg/updates/0001", "")
    assert call()["interrupted"]


def test_damages(host: Host, call: Call) -> None:
    host.put(MODULE, "other")
    answer = call()
    assert (answer["installed"], answer["packages_installed"], answer["damaged"]) == (False, True, [MODULE])
    host.put(f"/boot/vmlinuz-{NEW}", "other")
    message = call(before="boot")["msg"]
    assert f"files of package {NAME} are not as packed: {MODULE}: run the playbook again" in message
    assert f"/boot/vmlinuz-{NEW} does not have the checksum" in message


def test_an_empty_initrd_is_none(host: Host, call: Call) -> None:
    host.put(f"/boot/initrd.img-{NEW}", "")
    assert f"/boot/initrd.img-{NEW} is missing or empty" in call(before="boot")["msg"]
    assert call(before="boot", without_initrd="true")["initrd"] == ""


def test_an_initrd_that_is_there_is_checked_all_the_same(host: Host, call: Call) -> None:
    host.answers[f"lsinitramfs {host.root}/boot/initrd.img-{NEW}"] = ""
    assert "cannot be listed" in call(before="boot", without_initrd="true")["msg"]


def test_secure_boot(host: Host, call: Call) -> None:
    (host.root / SECURE_BOOT.lstrip("/")).parent.mkdir(parents=True)
    for last, refused in ((b"\0", False), (b"\1", True)):
        (host.root / SECURE_BOOT.lstrip("/")).write_bytes(b"\6\0\0\0" + last)
        assert ("Secure Boot is on" in call(before="boot").get("msg", "")) is refused


def test_dkms_is_asked(host: Host, call: Call) -> None:
    host.answers["dkms status"] = f"zfs/2.1, {OLD}, x86_64: installed\n"
    assert "zfs (DKMS): build with kernel_build_headers: true" in call(before="install")["msg"]
    assert (
        f"lacks modules from outside that run now: zfs (DKMS): dkms autoinstall -k {NEW}" in call(before="boot")["msg"]
    )


def test_a_wrong_manifest_is_refused(host: Host, call: Call) -> None:
    assert "'key' cannot be '../x'" in call(manifest={**host.manifest, "key": "../x"})["msg"]
