# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a live update, the kexec system calls, sriovctl's commands.

The files are the manifest and its schema, sealed states and options.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import kernel_facts, manifest_file
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import manifest as _manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import options as _live_options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.kexec import Kexec
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.status import Progress, new_result
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BadInputError,
    KernelError,
    RefusedError,
    SriovError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl import cli
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import durable, update_folder
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import Folder
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import state_file
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.state_file import Fingerprint

PF = "0000:03:00.0"
VF: dict[str, Any] = {"pf": PF, "id": 6, "address": "0000:04:11.4", "properties": {"vlan": 9}}
VM: dict[str, Any] = {
    "name": "web1", "backend": "qemu", "priority": 0, "pid": 77, "started": 770, "unit": "u",
    "cold_start": False, "straggler": "leave", "on_other_kernel": "restore", "vfs": [VF],
    "part": {"qmp": "/run/q", "argv": ["qemu"], "restore_argv": ["qemu"], "cwd": "/",
             "devices": {"0000:04:11.4": {"host": "x"}}},
}  # fmt: skip
GOOD: dict[str, Any] = {
    "schema": 3, "id": "0" * 32, "created": 1.5, "host": "h1", "boot_id": "b1", "budget_s": 60, "options": {},
    "modules": ["tun"],
    "kernel": {"release_before": "a", "release_after": "b", "image": "/i", "initrd": None, "cmdline": "c"},
    "pfs": [{"pf": PF, "driver": "igb", "netdev": "eth0", "netdev_up": True, "hardware_vfs": 7, "present_vfs": "0-6",
             "drivers_autoprobe": False, "interface": "vf-id"}],
    "vms": [VM],
}  # fmt: skip


def changed(path: str, value: object) -> dict[str, Any]:
    """GOOD with one member changed.

    ``None.`` as the last step deletes it.
    """
    data: dict[str, Any] = json.loads(json.dumps(GOOD))
    steps = [int(step) if step.isdigit() else step for step in path.split(".")]
    inner: Any = data
    for step in steps[:-1]:
        inner = inner[step]
    if value is KeyError:
        del inner[steps[-1]]
    else:
        inner[steps[-1]] = value
    return data


def test_good_manifest_round_trips(tmp_path: Path) -> None:
    manifest = _manifest.validate(GOOD)
    assert manifest.to_dict() == GOOD
    assert manifest.used_ids() == {PF: {6}}
    manifest_file.store(str(tmp_path), manifest)
    assert manifest_file.load(str(tmp_path)) == manifest


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", 2, "manifest.schema: 2, this version knows 3; arm the update again"),
        ("schema", 4, "manifest.schema: 4, this version knows 3"),
        ("vms.0.on_other_kernel", "hope", "on_other_kernel: 'hope' is none of restore, cold-start, leave"),
        ("id", "xyz", "is not 32 hexadecimal digits"),
        ("created", "now", "manifest.created: expected number, found 'now'"),
        ("budget_s", True, "manifest.budget_s: expected number, found True"),
        ("extra", 1, "manifest.extra: unknown key"),
        ("boot_id", KeyError, "manifest.boot_id: missing"),
        ("kernel.initrd", 5, "manifest.kernel.initrd: expected text or null"),
        ("pfs.0.hardware_vfs", "7", r"manifest.pfs\[0\].hardware_vfs: expected whole number"),
        ("vms.0.name", "../etc", r"vms\[0\].name: '../etc' must be letters"),
        ("vms.0.backend", "xen", r"vms\[0\].backend: 'xen' is not known here; there are: qemu"),
        ("vms.0.part.argv", [], r"vms\[0\].part.argv: expected a list of texts, found \[\]"),
        ("vms.0.part.restore_argv", [1], r"vms\[0\].part.restore_argv: expected a list of texts"),
        ("vms.0.part.qmp", 7, r"vms\[0\].part.qmp: expected text, found 7"),
        ("vms.0.part.cwd", KeyError, r"vms\[0\].part.cwd: missing"),
        ("vms.0.part.extra", 1, r"vms\[0\].part.extra: unknown key"),
        ("vms.0.part.devices", ["x"], r"vms\[0\].part.devices: expected an object of objects"),
        ("vms.0.part.devices", {}, r"vms\[0\].part.devices: no arguments of device_add for VF 0000:04:11.4"),
        ("vms.0.vfs.0.address", "eth0", "is not a PCI address"),
        ("vms.0.vfs.0.properties", {"vlans": 3}, "properties: unknown: vlans"),
        ("vms.0.vfs.0.id", 7, "owns VF 7 of PF 0000:03:00.0, which is not enabled here"),
        ("vms.0.vfs.0.pf", "0000:09:00.0", "which is not enabled here"),
        ("vms", [VM, VM], "two VMs have the same name: web1, web1"),
        ("vms", [VM, {**VM, "name": "web2"}], "VF 6 of PF 0000:03:00.0 is owned by web1 and web2"),
    ],
)
def test_wrong_manifests_name_the_key(path: str, value: object, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        _manifest.validate(changed(path, value))


@pytest.mark.parametrize(
    ("cmdline", "token"),
    [
        ("root=/dev/vda", None),
        ("kvmfleet.update=abc root=x", "abc"),
        ("kvmfleet.update=old kvmfleet.update=new", "new"),
        ("xkvmfleet.update=abc", None),
    ],
)
def test_token(cmdline: str, token: str | None) -> None:
    assert manifest_file.token_of(cmdline) == token


@pytest.mark.parametrize(
    ("cmdline", "boot_id", "has", "message"),
    [
        ("root=x", "b2", True, "an ordinary boot, nothing is restored"),
        (f"kvmfleet.update={'0' * 32} elfcorehdr=0x8000000", "b2", True, "this is a crash kernel"),
        (f"kvmfleet.update={'0' * 32}", "b2", False, "there is no manifest here"),
        (f"kvmfleet.update={'1' * 32}", "b2", True, "the command line says 1111"),
        (f"kvmfleet.update={'0' * 32}", "b1", True, "was armed by this very kernel"),
    ],
)
def test_only_the_kernel_it_was_made_for_may_use_a_manifest(
    cmdline: str, boot_id: str, has: bool, message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        manifest_file.require_match(_manifest.validate(GOOD) if has else None, cmdline, boot_id)


def test_match() -> None:
    manifest = _manifest.validate(GOOD)
    assert manifest_file.require_match(manifest, f"kvmfleet.update={'0' * 32}", "b2") is manifest


def test_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    durable.write_json(str(path), {"n": 1})
    with pytest.raises(TypeError):
        durable.write_json(str(path), {"n": object()})
    assert durable.read_json(str(path)) == {"n": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_a_file_takes_its_place_when_it_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is renamed when it and its folder are synced.

    Else a crash could leave an empty file (rename first), or the old one (the folder's entry is synced apart).
    """
    seen: list[tuple[str, str]] = []
    fsync, rename = os.fsync, os.rename

    def synced(handle: int) -> None:
        seen.append(("fsync", os.path.basename(os.readlink(f"/proc/self/fd/{handle}"))))
        fsync(handle)

    def renamed(old: str, new: str) -> None:
        seen.append(("rename", os.path.basename(new)))
        rename(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    durable.write_json(str(tmp_path / "a.json"), {"n": 1})
    (first, aside), *rest = seen
    assert (first, aside[:5]) == ("fsync", ".new-")
    assert rest == [("rename", "a.json"), ("fsync", tmp_path.name)]


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_damaged_json_is_bad_input(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadInputError, match=r"a\.json"):
        durable.read_json(str(tmp_path / "a.json"))


def test_link_in_place_of_a_private_file_is_refused(tmp_path: Path) -> None:
    durable.write_json(str(tmp_path / "real"), {})
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(BadInputError, match="expected a plain file"):
        durable.require_private(str(tmp_path / "link"))


@pytest.mark.parametrize(("data", "message"), [(b"abd", "sha256"), (b"ab", "2 bytes, 3 were saved"), (b"", "0 bytes")])
def test_state_that_changed_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"abc")
    sealed = state_file.seal(str(path))
    assert sealed == Fingerprint(3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    state_file.verify(str(path), sealed)
    path.write_bytes(data)
    with pytest.raises(BadInputError, match=message):
        state_file.verify(str(path), sealed)


def test_empty_and_missing_states(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(BadInputError, match="the saved guest is empty"):
        state_file.seal(str(tmp_path / "state"))
    with pytest.raises(KernelError, match="ENOENT"):
        state_file.seal(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"boots_s": 1}, "options.boots_s: unknown key, did you mean boot_s?"),
        ({"boot_s": "fast"}, "options.boot_s: 'fast' is not a number above 0"),
        ({"boot_s": 0}, "is not a number above 0"),
        ({"fill_chunk": 1.5}, "is not a whole number above 0"),
        ({"orderly": "yes"}, "is not true or false"),
        ({"allow_writers": "/etc/x"}, "is not a list of texts"),
        ({"interface": 3}, "is not a text"),
    ],
)
def test_wrong_options(data: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        _live_options.parse(data)
    assert message in str(caught.value)


def test_options_round_trip() -> None:
    options = _live_options.parse({"boot_s": 3, "allow_writers": ["/etc/x"], "orderly": None})
    assert (options.boot_s, options.allow_writers, options.orderly) == (3, ("/etc/x",), False)
    assert _live_options.parse(options.to_dict()) == options


class SystemCalls:
    """The two system calls of kexec: their arguments and answers."""

    def __init__(self, root: Path, loads: int = 0, reboots: int = 16) -> None:
        self.root, self.loads, self.reboots = root, loads, reboots
        self.calls: list[tuple[Any, ...]] = []
        files = {"sys/kernel/kexec_loaded": "0", "proc/sysrq-trigger": "", "image": "k", "initrd": "i"}
        for path, text in {**files, "proc/mounts": "/dev/vda / ext4 rw 0 0"}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)

    def syscall(self, number: int, kernel: int, initrd: int, length: int, text: bytes | None, flags: int) -> int:
        self.calls.append((number, initrd >= 0, length, text, flags))
        if self.loads == 0:
            (self.root / "sys/kernel/kexec_loaded").write_text("0" if flags & 1 else "1")
        return self.loads

    def reboot(self, command: int) -> int:
        self.calls.append(("reboot", command))
        return self.reboots

    def kexec(self, machine: str = "x86_64") -> Kexec:
        return Kexec(Sysfs(str(self.root)), self.run, machine, self.syscall, self.reboot, lambda: None)

    def run(self, argv: Any) -> str:  # noqa: ANN401 - stands in for any runner
        self.calls.append(tuple(argv))
        return ""


def test_load_and_unload(tmp_path: Path) -> None:
    system = SystemCalls(tmp_path)
    kexec = system.kexec()
    kexec.load("/image", "/initrd", "root=x")
    assert kexec.loaded()
    kexec.load("/image", None, "root=x")
    kexec.unload()
    assert system.calls == [
        (320, True, 7, b"root=x\0", 0),
        (320, False, 7, b"root=x\0", 4),
        (320, False, 0, None, 1),
    ]
    assert kexec.image() is None


def test_number_of_the_system_call_depends_on_the_machine(tmp_path: Path) -> None:
    system = SystemCalls(tmp_path)
    system.kexec("aarch64").load("/image", None, "x")
    assert system.calls[0][0] == 294
    with pytest.raises(BadInputError, match="not known here for riscv64; known: aarch64, x86_64"):
        system.kexec("riscv64").load("/image", None, "x")


@pytest.mark.parametrize(
    ("number", "hint"),
    [(1, "a security module may forbid it"), (129, "its signature is not trusted"), (8, "not a kernel image")],
)
def test_refused_load_says_why(tmp_path: Path, number: int, hint: str) -> None:
    system = SystemCalls(tmp_path, loads=number)
    with pytest.raises(KernelError, match=hint):
        system.kexec().load("/image", None, "x")
    assert not system.kexec().loaded()


def test_what_the_kernel_took_is_read(tmp_path: Path) -> None:
    kexec = replace(SystemCalls(tmp_path).kexec(), syscall=lambda *_arguments: 0)
    with pytest.raises(SriovError, match=r"/image was taken by kexec_file_load but .*kexec_loaded is not 1"):
        kexec.load("/image", None, "x")
    assert kexec.image() is None


def test_nothing_is_started_when_nothing_is_loaded(tmp_path: Path) -> None:
    system = SystemCalls(tmp_path)
    with pytest.raises(RefusedError, match="no kernel is loaded"):
        system.kexec().start()
    assert system.calls == []


def test_refused_start_makes_disks_writable_again(tmp_path: Path) -> None:
    system = SystemCalls(tmp_path)
    kexec = system.kexec()
    kexec.load("/image", None, "x")
    with pytest.raises(KernelError, match="EBUSY"):
        kexec.start(remount_s=0.02)
    assert system.calls[1:] == [("reboot", 0x45584543), ("mount", "-o", "remount,rw", "/")]
    assert (tmp_path / "proc/sysrq-trigger").read_text() == "u"


def test_orderly_start_leaves_it_to_systemd(tmp_path: Path) -> None:
    system = SystemCalls(tmp_path)
    kexec = system.kexec()
    kexec.load("/image", None, "x")
    kexec.start(orderly=True)
    assert system.calls[1:] == [("systemctl", "kexec")]
    assert (tmp_path / "proc/sysrq-trigger").read_text() == ""


def test_phases_follow_each_other_without_a_hole(tmp_path: Path) -> None:
    clock = iter([1.0, 2.0, 4.0, 8.0])
    progress = Progress(Folder(str(tmp_path)), "m1", "b1", new_result("m1", "h1", "old"), lambda: next(clock))
    progress.enter(update_folder.SAVING)
    progress.enter(update_folder.KEXEC)
    progress.update_vm("web1", result="saved")
    found = durable.read_json(str(tmp_path / "result.json")) or {}
    assert found["phases"] == [
        {"name": "saving", "start": 1.0, "end": 2.0},
        {"name": "kexec", "start": 2.0, "end": None},
    ]
    progress.finish(update_folder.DONE, "updated", vfs_enabled={PF: 7})
    found = Folder(str(tmp_path)).read_result() or {}
    assert found["phases"][1]["end"] == 4.0
    assert (found["result"], found["vfs_enabled"], found["vms"][0]["result"]) == ("updated", {PF: 7}, "saved")
    assert (Folder(str(tmp_path)).read_status() or {})["phase"] == "done"


def test_sriovctl_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--root", str(tmp_path)]
    assert cli.main([*root, "live-update", "status"]) == 0
    assert cli.main([*root, "live-update", "status", "--json"]) == 0
    assert capsys.readouterr().out == "no live update\nnull\n"
    folder = tmp_path / "var/lib/kvmfleet-sriov/live-update"
    folder.mkdir(parents=True)
    progress = Progress(Folder(str(folder)), "m1", "b1", new_result("m1", "h1", "old"), iter([1.0, 3.5]).__next__)
    progress.enter(update_folder.SAVING)
    progress.update_vm("web1", result="save-failed", error="it said no")
    progress.enter(update_folder.KEXEC, "jump")
    assert cli.main([*root, "live-update", "status"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "live update m1: kexec  jump",
        "  saving          2.50 s",
        "  kexec          running",
        "  VM web1                 save-failed  it said no",
    ]
    assert cli.main([*root, "live-update", "result"]) == 0
    assert json.loads(capsys.readouterr().out)["manifest"] == "m1"


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (["resume"], 0, "nothing to resume"),
        (["live-update", "run"], 2, "nothing is armed on this host"),
        (["live-update", "recover"], 0, ""),
    ],
)
def test_sriovctl_with_nothing_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], status: int, message: str
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("root=/dev/vda\n")
    assert cli.main(["--root", str(tmp_path), *command]) == status
    assert message in capsys.readouterr().err


def test_release_that_is_no_kernel() -> None:
    assert kernel_facts.image_release(b"\0" * 0x300) is None
