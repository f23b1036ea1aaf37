# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network namespace of an interface, on the fake tree and really."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders import namespaces, namespaces_child
from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders.namespaces import UNKNOWN
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process as _process
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost

VF, OTHER = "0000:04:10.2", "0000:04:10.4"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    users.process(host, "self", "sriovctl")
    users.process(host, 1, "init")
    return host


def find(host: FakeHost, *addresses: str) -> dict[str, str]:
    return namespaces.find(host.sysfs, host.run, frozenset(addresses))


def named(host: FakeHost, path: str, target: str = "net:[77]") -> None:
    mounts = host.root / "proc/self/mountinfo"
    mounts.write_text(mounts.read_text() + f"40 1 0:4 {target} {path} rw shared:9 - nsfs nsfs rw\n")


# path of a mounted namespace, words
NAMED = [
    ("/run/netns/blue", "network namespace blue, as interface net1"),
    ("/run/docker/netns/4f1c", "network namespace 4f1c, as interface net1"),
    ("/srv/ns", "network namespace /srv/ns, as interface net1"),
]


@pytest.mark.parametrize(("path", "words"), NAMED)
def test_a_name_goes_before_a_process(host: FakeHost, path: str, words: str) -> None:
    named(host, path)
    users.process(host, 812, "nginx", "net:[77]")
    for one in (path, "/proc/812/ns/net"):
        host.namespaces[one] = {VF: "net1"}
    assert find(host, VF) == {VF: words}


def test_the_oldest_process_is_named(host: FakeHost) -> None:
    for pid in (1000, 99, 1001):
        users.process(host, pid, f"p{pid}", "net:[77]")
    host.namespaces["/proc/99/ns/net"] = {VF: "net1", OTHER: "net2"}
    assert find(host, VF, OTHER) == {
        VF: "the network namespace of process 99 (p99), as interface net1",
        OTHER: "the network namespace of process 99 (p99), as interface net2",
    }


def test_our_own_namespace_is_not_entered(host: FakeHost) -> None:
    host.namespaces["/proc/1/ns/net"] = {VF: "eth1"}
    assert find(host, VF) == {VF: UNKNOWN}


def test_a_namespace_that_is_only_held_open(host: FakeHost) -> None:
    users.process(host, 812, "runtime")
    os.symlink("net:[77]", host.root / "proc/812/fd/9")
    os.symlink("socket:[77]", host.root / "proc/812/fd/8")
    host.namespaces["/proc/812/fd/9"] = {VF: "net1"}
    assert find(host, VF, OTHER) == {
        VF: "a network namespace that process 812 (runtime) holds open, as interface net1",
        OTHER: UNKNOWN,
    }


@pytest.mark.parametrize("answer", [SriovError("no such program"), "not JSON", "[null]", "[{}]"])
def test_what_cannot_be_entered_stays_unnamed(host: FakeHost, answer: str | Exception) -> None:
    """A VF that is in use, though its namespace is unknown."""

    def run(_argv: Sequence[str]) -> str:
        if isinstance(answer, Exception):
            raise answer
        return answer

    users.process(host, 812, "nginx", "net:[77]")
    assert namespaces.find(host.sysfs, run, frozenset({VF})) == {VF: UNKNOWN}


def test_processes_that_may_not_be_read(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    target = host.sysfs.target
    number = 13

    def forbidden(path: str) -> str | None:
        if path.startswith("/proc/812"):
            raise KernelError("read link", path, number)
        return target(path)

    monkeypatch.setattr(host.sysfs, "target", forbidden)
    users.process(host, 812, "nginx", "net:[77]")
    os.symlink("net:[77]", host.root / "proc/812/fd/9")
    assert find(host, VF) == {VF: UNKNOWN}
    number = 3
    assert find(host, VF) == {VF: UNKNOWN}
    number = 5
    with pytest.raises(KernelError):
        find(host, VF)


def test_interfaces_by_their_device() -> None:
    """Interfaces by PCI address, compared with /sys.

    Those of virtio have a PCI device behind them too.
    """
    wanted = {}
    for name in os.listdir("/sys/class/net"):
        device = os.path.realpath(f"/sys/class/net/{name}/device")
        pci = [part for part in device.split("/") if part.count(":") == 2]
        if os.path.exists(f"/sys/class/net/{name}/device") and pci:
            wanted[pci[-1]] = name
    found = namespaces_child.interfaces()
    assert {address: found.get(address) for address in wanted} == wanted
    assert "lo" not in found.values()


def test_an_interface_without_driver_information_has_no_address() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        assert namespaces_child.bus_address(handle, "lo") == ""
        assert namespaces_child.bus_address(handle, "kvmfleet-none") == ""


def test_the_child_enters_the_given_namespaces(tmp_path: Path) -> None:
    """Null for a namespace that is gone.

    Ours has the interfaces of this machine, and a new one has none.
    """
    source = Path(namespaces_child.__file__).read_text()
    argv = [sys.executable, "-IS", "-c", source, "name", "/proc/self/ns/net", str(tmp_path / "none")]
    own, gone = json.loads(_process.run(argv))
    if os.geteuid() == 0:
        assert own == namespaces_child.interfaces()
    assert gone is None


def may_unshare() -> bool:
    return subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


needs_namespaces = pytest.mark.skipif(not may_unshare(), reason="only root makes network namespaces")


@needs_namespaces
def test_from_another_namespace_ours_is_seen() -> None:
    """Our interfaces, with the PCI addresses that they have."""
    source = Path(namespaces_child.__file__).read_text()
    argv = ["unshare", "--net", sys.executable, "-IS", "-c", source, "name", "/proc/self/ns/net"]
    answer = json.loads(_process.run([*argv, f"/proc/{os.getpid()}/ns/net"]))
    assert answer == [{}, namespaces_child.interfaces()]


@needs_namespaces
def test_a_real_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A namespace of a running process, with only its own interfaces."""
    seen: list[str] = []

    def run(argv: Sequence[str]) -> str:
        seen.append(_process.run(argv))
        return seen[-1]

    with subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"ready\n")
        process.stdin.flush()
        process.stdout.readline()
        places = {f"/proc/{process.pid}/ns/net": "there"}
        assert list(namespaces._search(Sysfs(), run, places, frozenset({VF}))) == []
        process.stdin.close()
    assert seen == ["[{}]\n"]
