# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real holders, seen from within what the units' settings leave.

systemd itself need not run here: capabilities, mounts and the list of system calls are set as it sets them. The same
with the units in the lab is in molecule/sriov/verify.yml.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fake.linux.units import Unit, unit
from tests.unit.roles.test_sriov_units import APPLY, FOLDER, METRICS, ONE

ROOT = Path(__file__).parents[3]
DEVICE = "c 1:7"
"""/dev/full, which hardly any process has open."""
PROGRAMS = ("unshare", "setpriv", "mount")
EVERY = pytest.mark.parametrize("name", [APPLY, ONE, METRICS])

LOOK = """
import json, sys
from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders import block_devices, processes
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
sysfs, pid, number = Sysfs(), int(sys.argv[1]), sys.argv[2]
try:
    files = [path for _pid, path, _to in processes.open_files(sysfs, [pid]) if sysfs.device_number(path) == number]
except SriovError:
    files = []
print(json.dumps({
    "holders": [str(processes.describe(sysfs, pid)) for _path in files],
    "namespaces": list(processes.namespaces(sysfs, "net")),
    "mounts": [one.point for one in block_devices.read_mounts(sysfs)],
}))
"""
HOLD = "import os, sys, time; os.open('/dev/full', os.O_WRONLY); print('ready', flush=True); time.sleep(600)"


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A program that has said that it is ready."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


class Holders(NamedTuple):
    """A VM's process, a network namespace's name, a mount point."""

    pid: int
    namespace: str
    mount: str


@pytest.fixture
def holders() -> Iterator[Holders]:
    """A VM, a network namespace, a mount below /home."""
    if os.geteuid() != 0 or any(shutil.which(one) is None for one in PROGRAMS):
        pytest.skip("only root can make namespaces here, with unshare, setpriv and mount")
    folder = Path(f"/home/kvmfleet-case-{os.getpid()}")
    folder.mkdir()
    say = f"mount -t tmpfs none {folder} && echo ready && exec sleep 600"
    try:
        with ExitStack() as stack:
            vm = stack.enter_context(started(sys.executable, "-c", HOLD, "-name", "guest=web1"))
            net = stack.enter_context(started("unshare", "--net", "sh", "-c", "echo ready; exec sleep 600"))
            stack.enter_context(started("unshare", "--mount", "sh", "-c", say))
            yield Holders(vm.pid, os.readlink(f"/proc/{net.pid}/ns/net"), str(folder))
    finally:
        folder.rmdir()


def look(one: Unit, found: Holders) -> dict[str, Any]:
    """What a program sees under the unit's settings."""
    bounding = ",".join(f"+{name[4:].lower()}" for name in one["CapabilityBoundingSet"])
    inside = ["setpriv", f"--bounding-set=-all,{bounding}", "--no-new-privs", sys.executable, "-c", LOOK]
    script = 'mount -o remount,bind,ro / && exec "$@"'  # ProtectSystem=strict
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "slave", "sh", "-c", script, "sh", *inside, str(found.pid), DEVICE],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/build/src:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@EVERY
def test_holders_are_named(holders: Holders, name: str) -> None:
    found = look(unit(name, sriov_metrics_folder=FOLDER), holders)
    assert [one.partition(",")[0] for one in found["holders"]] == ["VM web1"]
    assert holders.namespace in found["namespaces"]
    assert holders.mount in found["mounts"]


def test_without_its_capabilities_all_look_free(holders: Holders) -> None:
    """The test above can fail, and the danger is silent."""
    found = look({**unit(APPLY), "CapabilityBoundingSet": ["CAP_NET_ADMIN"]}, holders)
    assert found["holders"] == []
    assert holders.namespace not in found["namespaces"]
    assert holders.mount not in found["mounts"]


@EVERY
def test_system_calls_of_the_search_are_allowed(name: str) -> None:
    """setns enters namespaces; processes and sockets are read with the others."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed here")
    allowed: set[str] = set()
    for word in " ".join(unit(name, sriov_metrics_folder=FOLDER)["SystemCallFilter"]).split():
        calls = expanded(program, word.lstrip("~"))
        allowed = allowed - calls if word.startswith("~") else allowed | calls
    wanted = {"setns", "openat", "readlink", "readlinkat", "getdents64", "socket", "flock", "fork", "clone", "execve"}
    assert wanted - allowed == set()


def expanded(program: str, word: str) -> set[str]:
    """System calls of a set, whose members may be sets."""
    if not word.startswith("@"):
        return {word}
    done = subprocess.run([program, "syscall-filter", "--no-pager", word], capture_output=True, text=True, check=True)
    lines = [line.strip() for line in done.stdout.splitlines()[1:]]
    names = [line for line in lines if line and not line.startswith("#") and " " not in line]
    return {call for one in names for call in expanded(program, one)}
