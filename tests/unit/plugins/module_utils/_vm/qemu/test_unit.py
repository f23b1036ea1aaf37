# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM's unit grants is there after each update."""

from __future__ import annotations

import shutil

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _live_arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import unit
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.part import QemuPart
from tests.fake.linux.pf import FakePf
from tests.fake.vm.granted import Granted
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import live, request, updated

UNIT = "kvmfleet-vm-web1.service"
WORDS = (
    "--slice=vms-gold.slice", "--property=CPUWeight=400", "--property=CPUQuota=250.00%", "--property=AllowedCPUs=2-5",
    "--property=MemoryMax=2147483648", "--property=TasksMax=infinity", "--property=DevicePolicy=closed",
    "--property=DeviceAllow=/dev/kvm rw", "--property=DeviceAllow=char-pts rw", "--property=LimitNOFILE=4096:8192",
    "--property=LimitMEMLOCK=infinity:infinity", "--property=OOMScoreAdjust=-900", "--property=CPUAffinity=2-5",
    "--property=Nice=-5", "--property=UMask=0077", "--property=Description=VM of $A & Co; 100%h",
    "--setenv=A=1", "--setenv=B=$HOME %h \"q\" 'x'; echo", "--setenv=C=", "--setenv=D=two\nlines",
)  # fmt: skip


def grant(node: FakeNode, *words: str) -> None:
    """Start the VM's process anew in a unit with these settings."""
    qemu, granted = live(node), Granted(words)
    node.systemd.granted[UNIT] = granted
    for name, text in granted.files(qemu.pid, UNIT).items():
        node.put(f"/proc/{qemu.pid}/{name}", text)
    node.put("/proc/1/status", "Name:\tsystemd\nCpus_allowed_list:\t0-7\n")


def refusals(node: FakeNode) -> list[str]:
    return [str(item) for item in _live_arm.examine(node.live, request())[1].refusals]


def test_settings_stay_over_three_updates(node: FakeNode, pf: FakePf) -> None:
    grant(node, *WORDS)
    for _update in range(3):
        updated(node)
        granted = node.systemd.granted[UNIT]
        assert granted.slice == "vms-gold.slice"
        assert {f"--property={name}={value}" for name, value in granted.properties} >= {
            word for word in WORDS if word.startswith("--property=")
        }
        assert granted.environment == [word.removeprefix("--setenv=") for word in WORDS if "--setenv" in word]
        node.live.folder.forget()


def test_a_unit_without_settings_gets_none(node: FakeNode, pf: FakePf) -> None:
    """A pinning to all CPUs would leave out later ones."""
    grant(node)
    updated(node)
    names = {name for name, _value in node.systemd.granted[UNIT].properties}
    assert names & {"CPUAffinity", "AllowedCPUs", "MemoryMax", "CPUWeight", "CPUQuota", "Nice", "UMask"} == set()
    assert (node.systemd.granted[UNIT].slice, node.systemd.granted[UNIT].environment) == ("system.slice", [])


def test_a_process_of_a_login_session_keeps_what_is_its_own(node: FakeNode, pf: FakePf) -> None:
    """Its slice is that of a person."""
    grant(node, "--setenv=A=1", "--property=Nice=3", "--property=LimitNOFILE=10:20", "--property=CPUAffinity=3")
    node.put(f"/proc/{live(node).pid}/cgroup", "0::/user.slice/user-0.slice/session-3.scope\n")
    updated(node)
    granted = node.systemd.granted[UNIT]
    assert (granted.slice, granted.environment) == ("system.slice", ["A=1"])
    assert {("Nice", "3"), ("LimitNOFILE", "10:20"), ("CPUAffinity", "3")} <= set(granted.properties)


def test_a_scope_has_settings_too(node: FakeNode, pf: FakePf) -> None:
    node.systemd.granted["vm.scope"] = Granted(["--property=MemoryMax=1024"])
    node.put(f"/proc/{live(node).pid}/cgroup", "0::/vms.slice/vm.scope\n")
    updated(node)
    assert (node.systemd.granted[UNIT].slice, node.systemd.granted[UNIT].value("MemoryMax")) == ("vms.slice", "1024")


def test_a_rewritten_environment_is_what_the_next_one_has(node: FakeNode, pf: FakePf) -> None:
    """Variables for that one start, and a shell's functions, are left out."""
    text = "A=1\0NOTIFY_SOCKET=/run/x\0LISTEN_FDS=1\0BASH_FUNC_f%%=() { :; }\0A_B=2\0junk\0"
    node.put(f"/proc/{live(node).pid}/environ", text)
    updated(node)
    assert node.systemd.granted[UNIT].environment == ["A=1", "A_B=2"]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("--property=ExecStopPost={ path=/bin/x ; }", "ExecStopPost="),
        ("--property=ExecStartPre={ path=/bin/x ; }", "ExecStartPre="),
        ("--property=SystemCallFilter=read write", "SystemCallFilter="),
        ("--property=AppArmorProfile=vm", "AppArmorProfile="),
        ("--setenv=A=\x1b[0m", "variable A"),
    ],
)
def test_what_cannot_be_carried_over_is_refused(node: FakeNode, pf: FakePf, word: str, name: str) -> None:
    grant(node, word)
    (text,) = refusals(node)
    assert f"its unit {UNIT} has what cannot be carried over: {name}" in text


def test_settings_of_a_slice_that_end_with_the_boot(node: FakeNode, pf: FakePf) -> None:
    grant(node, "--slice=vms.slice")
    node.systemd.slices["vms.slice"] = "/etc/systemd/system/vms.slice.d/a.conf"
    assert refusals(node) == []
    node.systemd.slices["vms.slice"] += " /run/systemd/system.control/vms.slice.d/50-CPUQuota.conf"
    (text,) = refusals(node)
    assert "settings of vms.slice in /run/systemd/system.control/vms.slice.d/50-CPUQuota.conf" in text


def test_output_files_are_written_on(node: FakeNode, pf: FakePf) -> None:
    folder = node.host.root / f"proc/{live(node).pid}/fd"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "1").symlink_to("/var/log/web1.log")
    (folder / "2").symlink_to("/run/web1.log")
    updated(node)
    granted = node.systemd.granted[UNIT]
    assert (granted.value("StandardOutput"), granted.value("StandardError")) == ("append:/var/log/web1.log", "")


def test_a_manifest_of_before_has_no_settings() -> None:
    part = {"qmp": "/run/q", "argv": ["q"], "restore_argv": ["q"], "cwd": "/", "devices": {}}
    assert QemuPart.parse(part, "x").unit.words() == []
    with pytest.raises(BadInputError, match=r"x\.unit\.properties: expected a list of texts"):
        QemuPart.parse({**part, "unit": {"properties": [1]}}, "x")
    with pytest.raises(BadInputError, match=r"x\.unit: expected an object"):
        QemuPart.parse({**part, "unit": []}, "x")


LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            1024                 524288               files
Max nice priority         0                    0
Max realtime priority     99                   99
Max realtime timeout      unlimited            200000               us
Max unheard of            1                    1                    bytes
"""


def test_limits_of_the_kernel() -> None:
    assert list(unit._limits(LIMITS)) == [
        "LimitCPU=infinity:infinity", "LimitNOFILE=1024:524288", "LimitRTPRIO=99:99", "LimitRTTIME=infinity:200000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("1s", 1.0), ("2.500s", 2.5), ("1min 40s", 100.0), ("50us", 0.00005)]
)
def test_time_spans(text: str, seconds: float) -> None:
    assert unit._seconds(text) == pytest.approx(seconds)


def test_real_time_scheduling() -> None:
    fields = " ".join(["S", *["0"] * 15, "-5", *["0"] * 20, "10", "2", "0"])
    assert list(unit._scheduling(f"7 (a) b) {fields}")) == [
        "Nice=-5", "CPUSchedulingPolicy=rr", "CPUSchedulingPriority=10",
    ]  # fmt: skip
