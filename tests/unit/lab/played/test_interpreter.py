# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands on a played host, in namespaces."""

from __future__ import annotations

import errno
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.played.host import INSIDE, NETDEV, PF, Host

UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"]
pytestmark = pytest.mark.skipif(
    subprocess.run([*UNSHARE, "true"], capture_output=True).returncode != 0, reason="user namespaces are off"
)
DEVICE = f"/sys/bus/pci/devices/{PF}"
WRITE = "import os, sys; handle = os.open(sys.argv[1], os.O_WRONLY); print(os.write(handle, sys.argv[2].encode()))"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path, "hv1", "vf-id")
    yield host
    host.server.shutdown()
    host.server.server_close()


def on(host: Host, command: str, data: str = "", user: str = "root") -> subprocess.CompletedProcess[str]:
    words = [*UNSHARE, str(INSIDE / "enter"), str(host.root), user, command]
    return subprocess.run(words, input=data, capture_output=True, text=True, timeout=60)


def write(host: Host, path: str, value: str, user: str = "root") -> subprocess.CompletedProcess[str]:
    return on(host, f'/run/played/python -IS -c "{WRITE}" {path} "{value}"', user=user)


def test_a_write_reaches_the_played_kernel(host: Host) -> None:
    assert write(host, f"{DEVICE}/sriov_numvfs_no_scan", "5").stdout == "1\n"
    assert (host.pf.enabled, sorted(host.pf.vfs)) == (5, [])
    assert on(host, f"cat {DEVICE}/sriov_numvfs").stdout == "5\n"


@pytest.mark.parametrize(
    ("path", "value", "number"),
    [
        (f"{DEVICE}/sriov_numvfs", "99", errno.ERANGE),
        (f"{DEVICE}/sriov_numvfs", "x", errno.EINVAL),
        (f"{DEVICE}/sriov_totalvfs", "1", errno.EACCES),
        (f"{DEVICE}/nothing", "1", errno.ENOENT),
    ],
)
def test_what_the_kernel_refuses_has_its_errno(host: Host, path: str, value: str, number: int) -> None:
    done = write(host, path, value)
    assert f"[Errno {number}]" in done.stderr
    assert (done.returncode, host.pf.enabled) == (1, 0)


def test_programs_are_those_of_the_host(host: Host) -> None:
    assert '"ens3f0"' in on(host, "ip -json -details link show dev ens3f0").stdout
    assert on(host, "ip -json link show dev eth9").returncode == 1
    assert on(host, "systemctl is-enabled x.service -l").returncode == 1
    assert on(host, "systemctl enable x.service; systemctl is-enabled x.service -l").stdout == "enabled\n"


def test_a_program_may_come_on_stdin_or_in_a_file(host: Host) -> None:
    text = "import sys; print(__name__, sys.executable)"
    assert on(host, "/run/played/python", text).stdout == "__main__ /run/played/python\n"
    assert on(host, "cat >/run/x.py; /run/played/python /run/x.py", text).stdout == "__main__ /run/played/python\n"


def test_an_open_vfio_group_is_a_device(host: Host) -> None:
    host.fake.setup(host.pf, 1, [0], "vfio-pci")
    host.start_vm()
    look = "found = os.stat('/proc/4711/fd/31'); print(stat.S_ISCHR(found.st_mode), os.major(found.st_rdev))"
    text = f"import os, stat; {look}"
    assert on(host, "/run/played/python", text).stdout == "True 235\n"


def test_folders_of_this_machine_stay_as_they_are(host: Host) -> None:
    on(host, "touch /etc/kvmfleet-test /run/kvmfleet-test /var/lib/kvmfleet-test /usr/local/sbin/kvmfleet-test")
    for folder in ("etc", "run", "var/lib", "usr/local/sbin"):
        assert (host.root / folder / "kvmfleet-test").exists()
        assert not (Path("/") / folder / "kvmfleet-test").exists()


def test_modules_are_compiled_once(host: Host, tmp_path: Path) -> None:
    """By all hosts that are played beside each other."""
    payload = tmp_path / "one_payload.zip"
    with zipfile.ZipFile(payload, "w") as archive:
        archive.writestr("given.py", "print(41 + 1)\n")
    done = on(host, f"/run/played/python -c 'import sys; sys.path.insert(0, \"{payload}\"); import given'")
    assert (done.stdout, done.stderr) == ("42\n", "")
    assert len(list((tmp_path / "bytecode").iterdir())) == 1


def test_who_is_not_root_reads_and_changes_nothing(host: Host) -> None:
    done = write(host, f"{DEVICE}/sriov_numvfs_no_scan", "5", user="operator")
    assert (f"[Errno {errno.EACCES}]" in done.stderr, host.pf.enabled) == (True, 0)
    done = on(host, f"ip link set dev {NETDEV} vf 0 vlan 7", user="operator")
    assert "Operation not permitted" in done.stderr
    assert '"ens3f0"' in on(host, f"ip -json -details link show dev {NETDEV}", user="operator").stdout
    done = on(host, "id -u; for folder in etc run var/lib usr/local/sbin; do touch /$folder/x; done", user="operator")
    assert (done.stdout, done.stderr.count("Read-only file system")) == ("1000\n", 4)
    assert "a password is required" in on(host, "sudo -H -S -n -u root id -u", user="operator").stderr
    assert on(host, "sudo -H -S -n -u root id -u").stdout == "0\n"
