# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's units, rendered with its own defaults."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import paths, update_paths
from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl import cli, live_update_command
from tests.fake.linux.units import ROLE, names, render, unit

FOLDER = "/var/lib/prometheus/node-exporter"
APPLY, ONE = "kvmfleet-sriov-apply.service", "kvmfleet-sriov-apply@.service"
METRICS = "kvmfleet-sriov-metrics.service"
RULES = "90-kvmfleet-sriov.rules"


@pytest.mark.parametrize("folder", ["", FOLDER])
@pytest.mark.parametrize(("name", "more"), [(APPLY, []), (ONE, ["--pf", "%i"])])
def test_apply(name: str, more: list[str], folder: str) -> None:
    one = unit(name, sriov_metrics_folder=folder)
    program, *arguments = one["ExecStart"]
    assert program == "/usr/local/sbin/sriovctl"
    assert arguments == ["apply", "--boot", "--wait", "60", *more]
    assert cli.parser().parse_args(arguments).boot
    assert (one["Type"], one["KillMode"], one["TimeoutStartSec"]) == (["oneshot"], ["process"], ["660"])
    assert "RemainAfterExit" not in one
    assert one["ConditionPathExists"] == [paths.HOST_DOCUMENT]
    assert ("kvmfleet-sriov-metrics.service" in one.get("Wants", [])) is bool(folder)


def test_apply_is_early() -> None:
    one = unit(APPLY)
    assert one["DefaultDependencies"] == ["no"]
    assert "network-pre.target" in one["Wants"]
    assert {"network-pre.target", "libvirtd.service", "ovs-vswitchd.service", "shutdown.target"} <= set(one["Before"])
    assert one["Conflicts"] == ["shutdown.target"]
    assert str(Path(paths.LIVE_UPDATE).parent) in one["RequiresMountsFor"], "a live update would not be seen"


def test_metrics_follow_every_apply() -> None:
    before = unit(ONE, sriov_metrics_folder=FOLDER)["Before"]
    assert before == ["kvmfleet-sriov-metrics.service"]
    assert unit("kvmfleet-sriov-metrics.service", sriov_metrics_folder=FOLDER)["After"] == [APPLY]


def test_metrics() -> None:
    arguments = [word.strip('"') for word in unit(METRICS, sriov_metrics_folder=FOLDER)["ExecStart"][1:]]
    assert cli.parser().parse_args(arguments).output == f"{FOLDER}/kvmfleet_sriov.prom"
    timer = unit("kvmfleet-sriov-metrics.timer", sriov_metrics_interval="5min")
    assert (timer["OnUnitActiveSec"], timer["AccuracySec"]) == (["5min"], ["1s"])


def test_the_wait_may_be_text() -> None:
    """The wait as text, as `-e sriov_apply_wait=120` gives it."""
    assert [unit(name, sriov_apply_wait="120")["TimeoutStartSec"] for name in (APPLY, ONE)] == [["720"], ["720"]]


def test_every_unit_has_a_template() -> None:
    units = [*names("sriov_metrics_units"), *names("sriov_boot_units"), ONE, RULES]
    assert {f"{name}.j2" for name in units} == {path.name for path in (ROLE / "templates").iterdir()}
    assert live_update_command.APPLY_UNIT in units


def test_rule() -> None:
    """A rule for PFs that get a driver, after an apply.

    The apply is one of this boot; udev does not wait for what the rule starts.
    """
    (rule,) = [line for line in render(RULES).splitlines() if line and not line.startswith("#")]
    keys = {m[1]: m[2] for m in re.finditer(r'([A-Z]+(?:{\w+})?)(?:==|\+=)"([^"]*)"(?:, |$)', rule)}
    assert keys == {
        "ACTION": "bind",
        "SUBSYSTEM": "pci",
        "ATTR{sriov_totalvfs}": "?*",
        "TEST": paths.LAST_APPLY,
        "RUN": f"/bin/systemctl --no-block start {ONE.replace('@', '@$kernel')}",
    }


def test_come_back_is_late_and_only_where_a_live_update_was() -> None:
    one = unit(update_paths.COME_BACK_UNIT)
    assert one["ConditionPathExists"] == [paths.LIVE_UPDATE_STATUS]
    assert {update_paths.RESUME_UNIT, "remote-fs.target", "network-online.target"} <= set(one["After"])
    assert "Before" not in one
    assert cli.parser().parse_args(one["ExecStart"][1:]).step == "come-back"
    assert one["KillMode"] == ["process"], "systemd would end the VMs with it"


HIDING = (
    "ProtectHome", "ProtectProc", "ProcSubset", "PrivateTmp", "PrivateDevices", "PrivateNetwork", "PrivateUsers",
    "PrivatePIDs", "DevicePolicy", "DeviceAllow", "InaccessiblePaths", "TemporaryFileSystem", "RootDirectory",
    "MemoryDenyWriteExecute",
)  # fmt: skip
"""Settings under which a used VF could look free.

They hide mounts, processes, device files or namespaces; the last one can keep ctypes from entering namespaces.
"""
NEEDED = {"CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_NET_ADMIN"}
"""For open files, namespaces, and the modes of eswitches."""


@pytest.mark.parametrize("name", [APPLY, ONE, METRICS])
def test_hardened_units_see_every_holder(name: str) -> None:
    one = unit(name, sriov_metrics_folder=FOLDER)
    assert set(one) & set(HIDING) == set()
    assert set(one["CapabilityBoundingSet"]) >= NEEDED
    assert (one["NoNewPrivileges"], one["ProtectSystem"], one["RestrictNamespaces"]) == (["yes"], ["strict"], ["net"])
    assert "/run" in one["ReadWritePaths"]


@pytest.mark.parametrize("name", [APPLY, ONE])
def test_apply_may_write_sysfs_and_load_modules(name: str) -> None:
    one = unit(name)
    assert not {"ProtectKernelTunables", "ProtectKernelModules"} & set(one)
    assert "@module" in one["SystemCallFilter"]
    assert {"CAP_SYS_MODULE", "CAP_DAC_OVERRIDE"} <= set(one["CapabilityBoundingSet"])


@pytest.mark.parametrize(("name", "most"), [(APPLY, 4.5), (ONE, 4.5), (METRICS, 3.0)])
def test_exposure(tmp_path: Path, name: str, most: float) -> None:
    """The figure of systemd itself, for a unit that runs as root."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed here")
    file = tmp_path / name.replace("@", "")
    file.write_text(render(name, sriov_metrics_folder=FOLDER))
    done = subprocess.run(
        [program, "security", "--offline=true", "--no-pager", str(file)], capture_output=True, text=True, check=False
    )
    found = re.search(r"Overall exposure level for \S+ ([0-9.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= most


def test_a_folder_of_any_name_is_one_word() -> None:
    text = render(METRICS, sriov_metrics_folder='/srv/a b%c$d"e')
    assert '--output "/srv/a b%%c$$d\\"e/kvmfleet_sriov.prom"\n' in text
    assert 'ReadWritePaths=/run "/srv/a b%%c$$d\\"e"\n' in text
