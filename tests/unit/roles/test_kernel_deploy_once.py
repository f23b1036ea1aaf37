# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role kernel_deploy with kernel_deploy_boot=once: drain, trial, release, batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake.boot.deployed import NEW, OLD, Host, changed, start

pytestmark = pytest.mark.slow  # runs of ansible-playbook


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    for name in ("drain", "undrain"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $@" >>{tmp_path}/hooks\n')
        (tmp_path / name).chmod(0o755)
    yield made
    made.end()


def once(host: Host, *arguments: str, **variables: object) -> tuple[int, str]:
    hooks = {f"kernel_deploy_{name}": [f"{host.folder}/{name}", "node"] for name in ("drain", "undrain")}
    done = host.run(*arguments, **{"kernel_deploy_boot": "once", **hooks, **variables})
    return done.returncode, " ".join(done.stdout.split())


def test_a_host_is_drained_rebooted_judged_and_released(host: Host) -> None:
    status, text = once(host)
    assert status == 0, text
    assert host.texts("hooks") == ["drain node h1", "undrain node h1"]
    assert (host.texts("acts"), host.texts("reboots")) == (["armed", "confirmed"], ["x"])
    for name in ("kvmfleet-sriov-boot-guard", "kvmfleet-sriov-boot-back"):
        assert (host.folder / f"{name}.service").exists()
        assert any(line.startswith(f"enable {name}") for line in host.texts("systemctl.log"))
    assert "ExecStart=/bin/sh" in (host.folder / "kvmfleet-sriov-boot-back.service").read_text()
    host.boots(start(NEW))
    (host.folder / "wanted.json").write_text(json.dumps({"kernel": f"/boot/vmlinuz-{NEW}", "release": NEW}))
    assert changed(once(host)[1]) == 0
    assert host.texts("reboots") == ["x"]


def test_an_older_build_that_runs_proves_nothing(host: Host) -> None:
    """It has the release of the kernel that is deployed."""
    assert host.run().returncode == 0
    host.boots(start(NEW))
    (host.folder / "wanted.json").write_text(json.dumps({"kernel": f"/boot/vmlinuz-{NEW}", "release": NEW}))
    (host.folder / "running").write_text(f"{NEW}\n")
    (host.folder / "older-build").write_text("")
    status, text = once(host)
    assert status != 0
    assert f"h1 starts {NEW} by default, which does not run" in text
    assert (host.texts("acts"), host.texts("hooks")) == ([], [])


def test_power_cuts_one_after_the_other(host: Host) -> None:
    """Each run goes on with what the one before has left."""
    answer = json.loads((host.folder / "boot.json").read_text())
    (host.folder / "boot.json").write_text(json.dumps({**answer, "loader": "systemd-boot"}))
    asking = host.folder / "reboot-required"
    for when in ("before", "amid", "after"):
        (host.folder / "cut").write_text(f"{when}\n")
        assert once(host)[0] < 0
        assert not host.texts("cut")
        assert (host.folder / "tries").is_symlink()
        assert (host.folder / "staging/0123456789ab").exists()
        assert json.loads((host.folder / "boot.json").read_text())["default"]["release"] == OLD
        asking.write_text("")
        asking.with_name("reboot-required.pkgs").write_text("linux-image\n")
    host.rebooted_into(NEW)
    reboot = host.folder / "reboot"
    played = reboot.read_text()
    cut = f"#!/bin/sh\nexport FAKE_HOST={host.folder}\nexec {host.folder}/bin/cut-power\n"
    reboot.write_text(cut)
    assert once(host)[0] < 0
    assert (host.texts("acts"), host.texts("hooks"), host.installed) == (["armed"], ["drain node h1"], True)
    assert not asking.exists()
    assert not (host.folder / "tries").is_symlink()
    assert not (host.folder / "staging/0123456789ab").exists()
    reboot.write_text(played)
    undrain = host.folder / "undrain"
    hook = undrain.read_text()
    undrain.write_text(cut)
    assert once(host)[0] < 0
    assert host.texts("acts") == ["armed", "armed", "confirmed"]
    undrain.write_text(hook)
    host.boots(start(NEW))
    (host.folder / "wanted.json").write_text(json.dumps({"kernel": f"/boot/vmlinuz-{NEW}", "release": NEW}))
    status, text = once(host)
    assert status == 0, text
    assert host.texts("hooks") == ["drain node h1"] * 2 + ["undrain node h1"]
    assert [line.split()[0] for line in host.texts("dpkg.log")] == ["--install"] * 2 + ["--remove", "--install"]
    assert not (host.folder / "drained").exists()


def test_a_host_that_still_has_vms_is_not_rebooted(host: Host) -> None:
    (host.folder / "vms.json").write_text('["process 77 (qemu-kvm, web1.service)"]')
    status, text = once(host)
    assert status != 0
    assert "h1 has VMs: process 77 (qemu-kvm, web1.service)" in text
    assert (host.texts("reboots"), host.texts("hooks")) == ([], ["drain node h1"])


@pytest.mark.parametrize("phase", ["going-back", "held"])
def test_a_host_that_did_not_come_up_is_not_released(host: Host, phase: str) -> None:
    host.rebooted_into(NEW, phase)
    status, text = once(host)
    assert status != 0
    assert f"did not come up with {NEW} ({phase}: played)" in text
    assert (host.texts("acts"), host.texts("hooks")) == (["armed"], ["drain node h1"])


def test_no_further_host_is_begun_after_a_failure(host: Host) -> None:
    host.hosts = ["h1", "h2", "h3"]
    host.rebooted_into(OLD, "failed")
    status, text = once(host)
    assert status != 0
    assert f"did not come up with {NEW} (failed: played)" in text
    assert (host.texts("acts"), host.texts("hooks")) == (["armed"], ["drain node h1"])
    assert "h3 was not begun: h1 failed, and kernel_deploy_max_failures is 0" in text


def test_the_limit_is_the_number_of_hosts_that_may_fail(host: Host) -> None:
    host.hosts = ["h1", "h2", "h3"]
    host.rebooted_into(OLD, "failed")
    assert once(host, kernel_deploy_max_failures=1)[0] != 0
    assert [line.split()[-1] for line in host.texts("hooks")] == ["h1", "h2"]


def test_check_mode_reboots_nothing(host: Host) -> None:
    status, text = once(host, "--check")
    assert status == 0, text
    assert (host.texts("reboots"), host.texts("acts"), host.texts("hooks")) == ([], [], [])
