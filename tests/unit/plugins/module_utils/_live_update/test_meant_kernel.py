# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel that an update was armed for, and others."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import meant_kernel, resume, save, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.manifest import Manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import NEW, FakeNode, Rebooted
from tests.fake.vm.update import arm, claim, live, phase, result

BUILD = "#1 SMP PREEMPT_DYNAMIC kvmfleet 6.12.0-1 (2026-11-29)"


def image(build: str = BUILD) -> bytes:
    """Beginning of a bzImage (Documentation/arch/x86/boot.rst)."""
    head = bytearray(0x400)
    head[0x202:0x206], head[0x20E:0x210] = b"HdrS", (0x100).to_bytes(2, "little")
    text = f"{NEW} (builder@(none)) {build}".encode()
    head[0x300 : 0x300 + len(text)] = text
    return bytes(head)


def jump(node: FakeNode, **changes: object) -> Manifest:
    """Arm, save and kexec into a kernel whose image shows its build."""
    (node.host.root / f"boot/vmlinuz-{NEW}").write_bytes(image())
    manifest = arm(node, **changes)
    with pytest.raises(Rebooted):
        save.run(node.live)
    node.put("/proc/sys/kernel/version", BUILD + "\n")
    return manifest


def test_the_armed_build_resumes(node: FakeNode, pf: FakePf) -> None:
    assert jump(node).kernel.build_after == BUILD
    assert resume.resume(node.live) == "done"
    assert way_out.come_back(node.live) is None


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("osrelease", "6.1.0-stray", f"this is kernel 6.1.0-stray, the update was armed for {NEW}"),
        ("version", "#2 SMP other", f"this kernel {NEW} is the build '#2 SMP other', the update was armed for '#1 SMP"),
    ],
)
@pytest.mark.parametrize("policy", ["restore", "leave"])
def test_another_kernel_with_the_token_goes_by_policies(
    node: FakeNode, pf: FakePf, path: str, text: str, message: str, policy: str
) -> None:
    """Who loads another image with --reuse-cmdline takes the token along."""
    memory = (live(node).guest or {})["boot"]
    jump(node, vms={"web1": {"name": "web1", "on_other_kernel": policy}})
    node.put(f"/proc/sys/kernel/{path}", text + "\n")
    with pytest.raises(BadInputError) as refused:
        resume.resume(node.live)
    assert message in str(refused.value)
    assert (node.live_vm("web1"), phase(node)) == (None, "kexec")
    assert way_out.come_back(node.live) == "failed"
    assert result(node)["result"] == "returned"
    assert message in result(node)["error"]
    if policy == "leave":
        assert (node.live_vm("web1"), claim(node).state) == (None, "saved")
    else:
        assert (live(node).guest or {})["boot"] == memory


@pytest.mark.parametrize(
    ("before", "after"), [(None, BUILD), (BUILD, None), (None, None)], ids=["image", "kernel", "both"]
)
def test_a_build_that_is_unknown_is_not_compared(
    node: FakeNode, pf: FakePf, before: str | None, after: str | None
) -> None:
    manifest = arm(node)
    node.put("/proc/sys/kernel/osrelease", NEW + "\n")
    if after is not None:
        node.put("/proc/sys/kernel/version", after + "\n")
    kernel = type(manifest.kernel)(**{**vars(manifest.kernel), "build_after": before})
    assert meant_kernel.difference(node.host.sysfs, kernel) is None


@pytest.mark.parametrize("vmcore", [True, False])
def test_a_crash_kernel_is_none_that_resumes(node: FakeNode, pf: FakePf, vmcore: bool) -> None:
    """On arm64 the command line does not show that it is one."""
    manifest = jump(node)
    token = f"kvmfleet.update={manifest.id}"
    node.put("/proc/cmdline", token if vmcore else f"{token} elfcorehdr=0x8000000")
    if vmcore:
        node.put("/proc/vmcore", "")
    for act in (resume.resume, way_out.come_back):
        with pytest.raises(BadInputError, match="this is a crash kernel"):
            act(node.live)
    assert node.live_vm("web1") is None
    assert claim(node).state == "saved"
