# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enabled units of other names that would start a VM's guest."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _live_arm
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import request

ETC, LIB = "/etc/systemd/system", "/usr/lib/systemd/system"
RUN = "ExecStart=/usr/bin/qemu-system-x86_64 -m 64"
NAMED = f"{RUN} -name guest=web1,debug-threads=on\n"
BY_IMAGE = f"{RUN} -name boot \\\n  -drive if=none,file=/vm/web1.img,id=d\n"


@pytest.fixture
def node(node: FakeNode) -> FakeNode:
    node.images = {"web1": ("/vm/web1.img",)}
    node.vm("web1", node.igb(), 6)
    return node


def enable(node: FakeNode, name: str, file: str, group: str = "multi-user.target.wants") -> None:
    folder = node.host.root / f"{ETC}/{group}".lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    os.symlink(file, folder / name)


def refusals(node: FakeNode) -> list[str]:
    _facts, verdict = _live_arm.examine(node.live, request())
    return [str(item) for item in verdict.refusals]


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("web.service", f"{ETC}/web.service", NAMED),
        ("web.service", f"{LIB}/web.service", BY_IMAGE),
        ("vm@web1.service", f"{ETC}/vm@.service", f"{RUN} -name %i\n"),
        ("vm@web1.service", f"{ETC}/vm@.service", f"{RUN} -drive file=/vm/%I.img\n"),
        ("web.service", f"{ETC}/web.service", "ExecStart=-/usr/local/bin/start-web\n"),
        ("web.service", f"{ETC}/web.service", "ExecStart=/bin/sh /usr/local/bin/start-web now\n"),
        ("web.service", f"{ETC}/web.service", "ExecStart=/bin/sh -c 'exec qemu-kvm -hda /vm/web1.img'\n"),
    ],
    ids=["name", "image", "instance", "instance's image", "script", "script of a shell", "shell"],
)
def test_the_preflight_refuses_it(node: FakeNode, name: str, file: str, text: str) -> None:
    node.put("/usr/local/bin/start-web", "#!/bin/sh\nexec kvm -m 64 -name 'web1'\n")
    node.put(file, f"[Service]\n{text}")
    assert refusals(node) == []
    enable(node, name, file)
    (found,) = refusals(node)
    assert f"unit {name} ({file}) is enabled, and starts a QEMU with its name or its images" in found
    assert f"systemctl disable {name}" in found


def test_a_timer_starts_its_service(node: FakeNode) -> None:
    node.put(f"{ETC}/web.service", f"[Service]\n{NAMED}")
    enable(node, "web.timer", f"{ETC}/web.timer", "timers.target.wants")
    assert len(refusals(node)) == 1


def test_a_drop_in_counts(node: FakeNode) -> None:
    node.put(f"{LIB}/vm.service", "[Service]\nExecStart=/bin/true\n")
    enable(node, "vm.service", f"{LIB}/vm.service")
    assert refusals(node) == []
    node.put(f"{ETC}/vm.service.d/image.conf", f"[Service]\nExecStart=\n{BY_IMAGE}")
    assert len(refusals(node)) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"{RUN} -name guest=web10\n",
        f"{RUN} -name web1-test\n",
        f"{RUN} -drive file=/vm/web1.img.bak\n",
        "ExecStart=/usr/bin/backup /vm/web1.img\n",
        "ExecStart=/usr/bin/qemu-img check /vm/web1.img\n",
        "ExecStart=/usr/bin/program-that-is-no-text\n",
        "ExecStart=/no/such/program web1\n",
        "ExecStart=/bin/cat /vm/pipe\n",
    ],
)
def test_units_that_start_something_else(node: FakeNode, text: str) -> None:
    os.mkfifo(node.host.root / "vm/pipe")
    node.put("/usr/bin/program-that-is-no-text", "\x7fELF\0qemu-kvm -name web1")
    node.put(f"{ETC}/other.service", f"[Service]\n{text}")
    enable(node, "other.service", f"{ETC}/other.service")
    assert refusals(node) == []
