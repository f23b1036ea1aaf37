# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a kernel that is tried, and module `boot_trial`.

Played: boots, the boot loader's answers, units, gateways, clock. Real: files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import (
    auto_kexec,
    guard,
    health,
    kept,
    loaders,
    proof,
    proven,
    trial,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.trial import Trial, Uplink
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.unknown import UnknownBootError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.modules import boot_trial
from tests.fake.boot import kernel
from tests.fake.boot.trial_host import NEW, OLD, Host

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setattr(loaders, "find", lambda *_: made)
    monkeypatch.setattr(health, "reach", lambda *_: made.answers)
    monkeypatch.setattr(health.problems, "__defaults__", (lambda *_: made.answers,))
    return made


@pytest.fixture
def call(host: Host, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(**args: object) -> dict[str, Any]:
        with patch_module_args(args), pytest.raises(SystemExit):
            boot_trial.main(host.sysfs, host.run)
        return dict(json.loads(capsys.readouterr().out))

    return run


def tried(host: Host, call: Call, **more: object) -> None:
    """Arm NEW, and boot it."""
    done = call(state="armed", release=NEW, **more)
    assert done.get("changed"), done
    host.boot(NEW, "b1")


def test_a_trial_is_armed_and_confirmed(host: Host, call: Call) -> None:
    assert call()["trial"] is None
    check = call(state="armed", release=NEW, _ansible_check_mode=True)
    assert (check["changed"], host.once, host.phase) == (True, None, "none")
    done = call(state="armed", release=NEW, command_line=["a=b"], only_once=True)
    assert (done["trial"]["phase"], done["trial"]["good"], host.once) == ("armed", OLD, NEW)
    assert host.words == ("panic=30", "rd.shell=0", "rd.emergency=reboot", "kvmfleet.tried", "a=b")
    assert done["trial"]["uplinks"] == [{"interface": "eno1", "gateway": "10.0.0.1"}]
    assert call(state="armed", release=NEW, command_line=["a=b"], only_once=True)["changed"] is False
    assert (host.guard(), host.phase) == (0, "armed")  # not rebooted yet
    host.boot(NEW, "b1")
    host.at[60] = lambda: call(state="confirmed")
    assert (host.guard(), host.phase, host.default) == (0, "confirmed", NEW)
    assert not host.rebooted
    wanted = {"kernel": f"/boot/vmlinuz-{NEW}", "release": NEW, "build": kernel.version(NEW)}
    assert kept.load(host.sysfs) == wanted
    assert proven.builds(host.sysfs)[kernel.version(NEW)]["how"] == "firmware"
    assert call(state="confirmed")["changed"] is False


def test_one_that_is_not_confirmed_goes_back(host: Host, call: Call) -> None:
    tried(host, call, confirm_s=60, health_s=30)
    assert (host.guard(), host.phase, host.rebooted) == (0, "going-back", True)
    assert host.clock >= 60
    host.boot(OLD, "b2")
    assert (host.guard(), host.phase) == (guard.LOOK, "failed")
    assert "not confirmed within 60 s" in host.reason
    assert host.guard() == 0


def no_carrier(host: Host) -> None:
    host.put("sys/class/net/eno1/carrier", b"0\n")


def no_gateway(host: Host) -> None:
    host.answers = False


def a_failed_unit(host: Host) -> None:
    host.failed.append("libvirtd.service")


def still_starting(host: Host) -> None:
    host.state = "starting"


def emergency(host: Host) -> None:
    host.state = "maintenance"


def a_failing_command(host: Host) -> None:
    host.fails["check-storage"] = "pool is degraded"


def another_build(host: Host) -> None:
    host.put("proc/sys/kernel/version", b"#1 SMP an older build\n")


SICK: dict[Callable[[Host], None], str] = {
    no_carrier: "eno1 has no carrier",
    no_gateway: "gateway 10.0.0.1 does not answer at eno1",
    a_failed_unit: "unit libvirtd.service has failed",
    still_starting: "says that the host is 'starting'",
    emergency: "says that the host is 'maintenance'",
    a_failing_command: "pool is degraded",
}


@pytest.mark.parametrize("change", SICK)
def test_a_host_that_is_not_healthy_goes_back(host: Host, call: Call, change: Callable[[Host], None]) -> None:
    host.failed.append("old.service")  # failed before, too
    tried(host, call, health_commands=[["check-storage", "--all"]], health_s=30)
    change(host)
    assert SICK[change] in call(state="confirmed")["msg"]
    assert (host.guard(), host.phase, host.rebooted, host.default) == (0, "going-back", True, OLD)
    assert SICK[change] in host.reason
    assert 30 <= host.clock < 60
    assert kernel.version(NEW) not in proven.builds(host.sysfs)


def test_health_may_come_late(host: Host, call: Call) -> None:
    tried(host, call, health_s=60)
    no_carrier(host)
    host.at[40] = lambda: host.put("sys/class/net/eno1/carrier", b"1\n")
    host.at[100] = lambda: call(state="confirmed")
    assert (host.guard(), host.phase) == (0, "confirmed")


def test_another_build_of_the_release_is_not_the_kernel_that_was_tried(host: Host, call: Call) -> None:
    tried(host, call)
    another_build(host)
    assert (host.guard(), host.phase) == (guard.LOOK, "failed")
    assert not host.rebooted
    assert "is not confirmed" in call(state="confirmed")["msg"]


@pytest.mark.parametrize("with_vms", [False, True])
def test_while_vms_run_it_goes_back_only_when_allowed(host: Host, call: Call, with_vms: bool) -> None:
    tried(host, call, confirm_s=10, with_vms=with_vms)
    host.vms = ["process 77 (qemu-kvm, web1.service)"]
    status = host.guard()
    assert (status, host.phase, host.rebooted) == ((0, "going-back", True) if with_vms else (guard.LOOK, "held", False))
    if not with_vms:
        assert "web1.service" in host.reason


@pytest.mark.parametrize("change", ["default", "unknown", "missing"])
def test_it_looks_again_where_a_reboot_would_lead(host: Host, call: Call, change: str) -> None:
    tried(host, call, confirm_s=10)
    if change == "default":
        host.default = "6.6.1-other"
    host.unknown = change == "unknown"
    host.changes = {"missing": (f"/boot/vmlinuz-{OLD}",)} if change == "missing" else {}
    assert (host.guard(), host.phase, host.rebooted) == (guard.LOOK, "held", False)


@pytest.mark.parametrize("vms", [[], ["process 77 (qemu-kvm, web1.service)"]])
def test_a_confirmation_that_was_cut_short_is_finished(host: Host, call: Call, vms: list[str]) -> None:
    """Between the boot loader's default and our note of it."""
    tried(host, call, confirm_s=60)
    host.default, host.vms = NEW, vms
    host.boot(NEW, "b2")
    assert (host.guard(), host.phase, host.rebooted) == (0, "confirmed", False)
    assert host.clock >= 60
    assert (kept.load(host.sysfs) or {}).get("release") == NEW
    assert kernel.version(NEW) in proven.builds(host.sysfs)


def test_a_sick_host_is_confirmed_by_nothing(host: Host, call: Call) -> None:
    tried(host, call, health_s=30)
    host.default = NEW
    no_carrier(host)
    assert (host.guard(), host.phase) == (guard.LOOK, "held")
    assert (kept.load(host.sysfs) or {}).get("release") != NEW


def test_the_default_is_the_command_line_that_was_tried(host: Host, call: Call) -> None:
    refused = call(state="armed", release=NEW, command_line=["panic=9", "root=/dev/sda", "nomodeset"])
    assert f"the entry of {NEW} lacks nomodeset, so the default" in refused["msg"]
    assert host.once is None
    tried(host, call, command_line=["panic=9", "root=/dev/sda"])
    host.changes = {"command_line": "root=/dev/sda"}
    host.words_of_new = "root=/dev/sda iommu=pt"
    refused = call(state="confirmed")
    assert f"was started without iommu=pt, which entry linux-{NEW} has" in refused["msg"]
    host.words_of_new = '"root=/dev/sda"'
    assert call(state="confirmed")["changed"] is True


KEXEC = [
    ("sys/kernel/kexec_loaded", b"1\n", "a kernel is loaded for kexec"),
    ("etc/default/kexec", b"#LOAD_KEXEC=false\nLOAD_KEXEC='true'\n", "has LOAD_KEXEC=true"),
]


@pytest.mark.parametrize(("name", "text", "words"), KEXEC)
def test_a_reboot_that_starts_a_loaded_kernel_is_none(
    host: Host, call: Call, name: str, text: bytes, words: str
) -> None:
    """By systemd, or by kexec-tools."""
    host.put(name, text)
    assert words in call(state="armed", release=NEW)["msg"]
    assert host.once is None
    host.put(name, b"0\n")
    tried(host, call, confirm_s=10)
    host.put(name, text)
    host.unloads = False
    assert (host.guard(), host.phase, host.rebooted) == (guard.LOOK, "held", False)
    assert words in host.reason


@pytest.mark.parametrize("error", [UnknownBootError("/boot/efi is not mounted"), OSError(5, "an I/O error")])
def test_a_sick_host_that_cannot_read_its_boot_loader_goes_back(
    host: Host, call: Call, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """As without vfat, in emergency mode: nobody could reach it."""
    tried(host, call, health_s=30)
    no_carrier(host)
    monkeypatch.setattr(host, "answer", mock.Mock(side_effect=error))
    assert (host.guard(), host.phase, host.rebooted) == (0, "going-back", True)


def test_the_guard_unloads_a_kernel_before_it_reboots(host: Host, call: Call) -> None:
    tried(host, call, confirm_s=10)
    host.put("sys/kernel/kexec_loaded", b"1\n")
    assert (host.guard(), host.phase, host.rebooted) == (0, "going-back", True)
    assert {"SYSTEMCTL_SKIP_AUTO_KEXEC=1", "SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT=1"} <= set(auto_kexec.REBOOT)


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("armed", "never came to its guard"),
        ("booted", "ended before it was confirmed"),
        ("healthy", "a panic, a reset"),
    ],
)
def test_a_kernel_that_did_not_stay_is_known_in_the_old_one(host: Host, call: Call, phase: str, words: str) -> None:
    tried(host, call)
    found = trial.load(host.sysfs)
    assert found is not None
    trial.store(host.sysfs, replace(found, phase=phase))
    proof.record(host.sysfs)
    host.boot(OLD, "b2")
    host.once = NEW  # the boot loader could not forget it
    assert (host.guard(), host.phase) == (guard.LOOK, "failed")
    assert host.once is None
    assert words in host.reason
    assert not host.rebooted
    assert kernel.version(NEW) not in proven.builds(host.sysfs)


def test_a_guard_that_was_killed_judges_anew(host: Host, call: Call) -> None:
    tried(host, call)

    def killed() -> None:
        raise KeyboardInterrupt

    host.at[20] = killed
    with pytest.raises(KeyboardInterrupt):
        host.guard()
    host.at[40] = lambda: call(state="confirmed")
    assert (host.guard(), host.phase) == (0, "confirmed")


def test_a_guard_that_is_killed_again_and_again_has_no_more_time(host: Host, call: Call) -> None:
    tried(host, call, health_s=30)
    no_carrier(host)
    host.clock = 35.0  # of its starts before
    assert (host.guard(), host.phase, host.clock) == (0, "going-back", 35.0)


def test_a_confirmation_that_comes_too_late(host: Host, call: Call) -> None:
    tried(host, call, confirm_s=10)
    host.guard()
    assert "is not confirmed (phase going-back)" in call(state="confirmed")["msg"]
    assert host.default == OLD


def test_a_kernel_that_kexec_has_started_is_not_confirmed(host: Host, call: Call) -> None:
    tried(host, call)
    host.boot(NEW, "b1", loader=208)
    assert "was started by kexec" in call(state="confirmed")["msg"]
    assert (host.default, host.phase) == (OLD, "armed")


@pytest.mark.parametrize("fails", [False, True])
def test_a_watchdog_is_fed_by_systemd_while_it_is_tried(host: Host, call: Call, fails: bool) -> None:
    host.put("sys/class/watchdog/watchdog0/identity", b"iTCO\n")
    call(state="armed", release=NEW)
    assert {"panic=30", "systemd.watchdog_sec=120"} <= set(host.words)
    host.boot(NEW, "b1")
    if fails:
        host.fails["busctl"] = "no such property"
    host.at[20] = lambda: call(state="confirmed")
    assert host.guard() == 0
    values = [words[-1] for words in host.calls if words[0] == "busctl"]
    assert sorted(set(values)) == (["120000000"] if fails else ["0", "120000000"])
    assert fails or values[-1] == "0"


REFUSED: dict[str, tuple[dict[str, Any], dict[str, object], str]] = {
    "not pinned": ({"changes": {"pinned": False}}, {}, "is not pinned"),
    "unproven": ({"changes": {"missing": ("/boot/initrd",)}}, {}, "/boot/initrd does not exist"),
    "the default": ({}, {"release": OLD}, "is the default already"),
    "waits": ({"waits": True}, {}, "waits for a person"),
    "no panic": ({"own": False}, {}, "has no panic="),
    "panic within another word": ({"own": False, "words_of_new": 'x="a panic=1 b"'}, {}, "has no panic="),
    "panic for init": ({"own": False, "words_of_new": "ro -- panic=1"}, {}, "has no panic="),
    "no release": ({}, {"release": "$(x)"}, "is no release"),
    "a shell": ({}, {"health_commands": [[]]}, "a command is a list of texts"),
    "a path": ({}, {"uplinks": [{"interface": "../x"}]}, "name of a network interface"),
    "a name": ({}, {"uplinks": [{"interface": "eno1", "gateway": "gw.example"}]}, "gateway is an IP address"),
}


@pytest.mark.parametrize(("state", "arguments", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_armed(
    host: Host, call: Call, state: dict[str, Any], arguments: dict[str, object], words: str
) -> None:
    for name, value in state.items():
        setattr(host, name, value)
    assert words in call(**{"state": "armed", "release": NEW, **arguments})["msg"]
    assert (host.once, host.phase) == (None, "none")


def test_nothing_is_left_when_the_boot_loader_refuses(host: Host, call: Call) -> None:
    host.fails["set_once"] = "no space"
    assert "no space" in call(state="armed", release=NEW)["msg"]
    assert host.phase == "none"


def test_what_waits_is_withdrawn(host: Host, call: Call) -> None:
    assert call(state="withdrawn")["changed"] is False
    call(state="armed", release=NEW)
    assert call(state="withdrawn", _ansible_check_mode=True)["changed"] is True
    assert (call(state="withdrawn")["changed"], host.once, host.phase) == (True, None, "none")
    tried(host, call)
    assert "runs: confirm it, or reboot" in call(state="withdrawn")["msg"]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2}, {"phase": "x"}, {"release": "../x"}, {"health_s": -1}, {"confirm_s": True}, {"with_vms": 1},
        {"commands": [["a", 1]]}, {"commands": 5}, {"uplinks": [{"interface": "a b"}]}, {"build": 5}, {"more": 1},
        {"failed_units": ["x"] * 60},
    ],
)  # fmt: skip
def test_a_damaged_file(tmp_path: Path, change: dict[str, Any]) -> None:
    good = Trial(NEW, "#1", OLD, "/boot/x", "b", "armed", uplinks=(Uplink("eno1", None),)).to_dict()
    assert trial.parse(json.loads(json.dumps(good))).to_dict() == good
    with pytest.raises(BadInputError, match="is damaged"):
        trial.parse({**good, **change})
