# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other writers of sriov_numvfs, wherever they are configured."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers import other_writers
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report import status
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost

WRITE = "echo 4 > /sys/class/net/eth0/device/sriov_numvfs\n"
VLAN = "network: {ethernets: {eth0: {}}, vlans: {v: {id: 3, link: eth0}}}\n"
BY_LINK = "network:\n  ethernets:\n    eth0: {}\n    eth0v0: {link: eth0}\n"
UNIT = f"[Service]\nExecStart=/bin/sh -c '{WRITE.strip()}'\n"
SEARCHED = ("etc", "run", "usr/local/lib", "usr/lib", "lib")
GLOB = "[Service]\nExecStart=/bin/sh -c 'for f in /sys/class/net/*/device/{}; do echo 4 > $f; done'\n"
GLOBS = ("sriov_num*", "sriov_numvf?", "sriov_n[u]mvfs")
# path, text, program
WRITERS = [
    ("etc/sysfs.conf", "bus/pci/devices/0000:03:00.0/sriov_numvfs = 4\n", "sysfsutils"),
    ("etc/crontab", f"@reboot root {WRITE}", "cron"),
    ("etc/cron.d/vfs", f"@reboot root {WRITE}", "cron"),
    ("var/spool/cron/crontabs/root", f"@reboot {WRITE}", "cron"),
    ("run/netplan/50.yaml", "network: {ethernets: {eth0: {virtual-function-count: 4}}}\n", "netplan"),
    ("etc/netplan/50.yaml", BY_LINK, "netplan"),
    ("etc/netplan/51.yaml", "network:\n  ethernets:\n    eth0v0:\n      link: eth0\n", "netplan"),
    ("etc/modprobe.d/mlx4.conf", "options mlx4_core num_vfs=0,0,8\n", "a module option"),
    ("usr/lib/modprobe.d/ixgbe.conf", "options ixgbe max_vfs=8,8\n", "a module option"),
    ("proc/cmdline", "quiet ixgbe.max_vfs=8\n", "the kernel's command line"),
    ("etc/os-net-config/config.yaml", "network_config:\n- type: sriov_pf\n  numvfs: 4\n", "os-net-config"),
    ("etc/network/if-up.d/vfs", f"#!/bin/sh\n{WRITE}", "a script"),
    ("etc/NetworkManager/dispatcher.d/30-vfs", f"#!/bin/sh\n{WRITE}", "a script"),
    ("etc/rc.d/rc.local", f"#!/bin/sh\n{WRITE}", "a boot script"),
    ("etc/nmstate/a.yml", "interfaces: [{ethernet: {sr-iov: {total-vfs: 4}}}]\n", "nmstate"),
    ("etc/tuned/x.conf", "[sysfs]\n/sys/class/net/eth0/device/sriov_numvfs=4\n", "tuned"),
    ("etc/sysconfig/network-scripts/ifcfg-eth0", "SRIOV_TOTAL_VFS=4\n", "NetworkManager"),
    ("etc/cloud/cloud.cfg.d/vfs.cfg", f"bootcmd: ['{WRITE.strip()}']\n", "cloud-init"),
    ("etc/cloud/cloud.cfg", f"bootcmd: ['{WRITE.strip()}']\n", "cloud-init"),
    ("var/lib/cloud/instance/cloud-config.txt", f"bootcmd: ['{WRITE.strip()}']\n", "cloud-init"),
    ("var/lib/cloud/instance/scripts/runcmd", f"#!/bin/sh\n{WRITE}", "a script"),
    ("var/lib/cloud/scripts/per-instance/vfs", f"#!/bin/sh\n{WRITE}", "a script"),
    ("var/lib/cloud/scripts/per-once/vfs", f"#!/bin/sh\n{WRITE}", "a script"),
    *((f"{one}/systemd/system/vfs.service", UNIT, "a systemd unit") for one in SEARCHED),
    *((f"{one}/udev/rules.d/9.rules", 'ATTR{device/sriov_numvfs}="4"\n', "a udev rule") for one in SEARCHED),
    *((f"{one}/modprobe.d/a.conf", "options ixgbe max_vfs=4\n", "a module option") for one in SEARCHED),
    *((f"{one}/tmpfiles.d/a.conf", "w /sys/x/sriov_numvfs - - - - 4\n", "systemd-tmpfiles") for one in SEARCHED),
    *((f"{one}/netplan/a.yaml", "{e: {virtual-function-count: 4}}\n", "netplan") for one in SEARCHED),
    *((f"{one}/systemd/network/a.network", "[SR-IOV]\n", "systemd-networkd") for one in SEARCHED),
    *((f"{one}/tuned/vfs/tuned.conf", "[sysfs]\n/sys/x/sriov_numvfs=4\n", "tuned") for one in SEARCHED),
    ("etc/tuned/profiles/vfs/script.sh", f"#!/bin/sh\n{WRITE}", "tuned"),
    *((f"{one}/systemd/user/vfs.service", UNIT, "a systemd unit") for one in SEARCHED),
    *(
        (f"run/systemd/{one}/vfs.service", UNIT, "a systemd unit")
        for one in ("generator", "generator.late", "transient")
    ),
    ("etc/systemd/system/multi-user.target.wants/vfs.service", UNIT, "a systemd unit"),
    ("usr/lib/systemd/system/basic.target.requires/vfs.service", UNIT, "a systemd unit"),
    ("etc/systemd/system/service.d/vfs.conf", UNIT, "a systemd unit"),
    ("etc/systemd/system/vfs.socket", f"[Socket]\nExecStartPre=/bin/sh -c '{WRITE.strip()}'\n", "a systemd unit"),
    *((f"{one}/systemd/system-generators/vfs", f"#!/bin/sh\n{WRITE}", "a script") for one in SEARCHED),
    ("usr/lib/systemd/system-sleep/vfs", f"#!/bin/sh\n{WRITE}", "a script"),
    *((f"{one}/NetworkManager/conf.d/a.conf", "[device-a]\nsriov-num-vfs=4\n", "NetworkManager") for one in SEARCHED),
    ("etc/NetworkManager/NetworkManager.conf", "[device]\nsriov-num-vfs=4\n", "NetworkManager"),
    *((f"{one}/NetworkManager/dispatcher.d/vfs", f"#!/bin/sh\n{WRITE}", "a script") for one in SEARCHED),
    ("etc/NetworkManager/dispatcher.d/no-wait.d/vfs", f"#!/bin/sh\n{WRITE}", "a script"),
    ("usr/lib/NetworkManager/dispatcher.d/pre-down.d/vfs", f"#!/bin/sh\n{WRITE}", "a script"),
    ("usr/lib/networkd-dispatcher/off.d/vfs", f"#!/bin/sh\n{WRITE}", "a script"),
    ("etc/modprobe.d/b.conf", f"install ixgbe /sbin/modprobe -i ixgbe; {WRITE}", "a module option"),
    ("etc/modprobe.d/c.conf", "install ixgbe /sbin/modprobe -i ixgbe max_vfs=4\n", "a module option"),
    ("etc/modprobe.d/d.conf", "options ixgbe \\\n  max_vfs=4\n", "a module option"),
    ("etc/modprobe.conf", "options ixgbe max_vfs=4\n", "a module option"),
    ("etc/libvirt/hooks/network.d/vfs", f"#!/bin/sh\n{WRITE}", "a script"),
    ("etc/inittab", f"x:3:once:/bin/sh -c '{WRITE.strip()}'\n", "init"),
    ("etc/rc.modules", f"#!/bin/sh\n{WRITE}", "a boot script"),
    ("etc/sysconfig/modules/vfs.modules", f"#!/bin/sh\n{WRITE}", "a script"),
    ("etc/ifstate/config.yml", "interfaces: [{sysfs: {device/sriov_numvfs: 4}}]\n", "ifstate"),
    ("etc/network/if-pre-down.d/vfs", f"#!/bin/sh\n{WRITE}", "a script"),
    ("sbin/ifup-local", f"#!/bin/sh\n{WRITE}", "a script"),
    ("etc/profile.d/vfs.sh", WRITE, "a script"),
    ("etc/infiniband/post-start-hook.sh", f"#!/bin/sh\n{WRITE}", "a script"),
    *((f"etc/systemd/system/{n}.service", GLOB.format(one), "a systemd unit") for n, one in enumerate(GLOBS)),
]


@pytest.mark.parametrize(("path", "text", "kind"), WRITERS)
def test_configured_writers(tmp_path: Path, path: str, text: str, kind: str) -> None:
    host = FakeHost(tmp_path)
    users.put(host, path, text)
    assert [(one.kind, one.path) for one in other_writers.find(host.sysfs)] == [(kind, f"/{path}")]


CALLERS = [
    ("etc/systemd/system/vfs.service", "[Service]\nExecStart=/usr/local/bin/vfs.sh 4\n", "a systemd unit"),
    ("etc/cron.d/vfs", "@reboot root /usr/local/bin/vfs.sh 4\n", "cron"),
    ("etc/modprobe.d/a.conf", "install ixgbe /usr/local/bin/vfs.sh 4\n", "a module option"),
    ("lib/udev/rules.d/9.rules", 'ACTION=="add", RUN+="/usr/local/bin/vfs.sh"\n', "a udev rule"),
    ("etc/rc.local", "#!/bin/sh\n/usr/local/bin/vfs.sh 4\n", "a boot script"),
]


@pytest.mark.parametrize(("path", "text", "kind"), CALLERS)
def test_scripts_that_others_call(tmp_path: Path, path: str, text: str, kind: str) -> None:
    host = FakeHost(tmp_path)
    users.put(host, path, text)
    assert list(other_writers.find(host.sysfs)) == []
    users.put(host, "usr/local/bin/vfs.sh", f"#!/bin/sh\n# set VFs\n{WRITE}")
    assert [(one.kind, one.path) for one in other_writers.find(host.sysfs)] == [(kind, f"/{path}")]
    users.put(host, "usr/local/bin/vfs.sh", "#!/bin/sh\ncat /sys/class/net/eth0/device/sriov_numvfs\n")
    assert list(other_writers.find(host.sysfs)) == []


NONE = [
    ("etc/netplan/50.yaml", "network:\n  ethernets:\n    eth0: {}\n  vlans:\n    v: {id: 3, link: eth0}\n"),
    ("etc/cron.d/monitor", "* * * * * root cat /sys/class/net/eth0/device/sriov_numvfs | logger\n"),
    ("etc/cron.d/monitor", "* * * * * root cat /sys/class/net/eth0/device/sriov_numvfs 2>/dev/null | logger 2>&1\n"),
    ("etc/cron.daily/clean", "#!/bin/sh\nrm -f /var/log/sriov_*.log /tmp/sriov_new*\n"),
    ("etc/NetworkManager/conf.d/a.conf", "[device]\nsriov-num-vfs=0\n"),
    ("usr/lib/systemd/system-generators/netplan", f"\x7fELF\0\0{WRITE}"),
    ("etc/modprobe.d/mlx4.conf", "options mlx4_core num_vfs=0,0,0\n"),
    ("proc/cmdline", "quiet ixgbe.max_vfs=0\n"),
    ("etc/systemd/system/x.service", "[Service]\nExecStart=/usr/local/sbin/sriovctl apply\n"),
]


@pytest.mark.parametrize(("path", "text"), NONE)
def test_readers_and_others_are_none(tmp_path: Path, path: str, text: str) -> None:
    host = FakeHost(tmp_path)
    users.put(host, path, text)
    assert list(other_writers.find(host.sysfs)) == []


def found(host: FakeHost) -> list[str]:
    return [one.path for one in other_writers.find(host.sysfs)]


def test_a_file_is_named_and_read_once_by_whatever_path(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    users.put(host, "usr/lib/systemd/system/vfs.service", UNIT)
    users.put(host, "etc/rc.d/rc.local", f"#!/bin/sh\n{WRITE}")
    users.put(host, "etc/init.d/vfs", f"#!/bin/sh\n{WRITE}")
    users.put(host, "run/systemd/generator.late/vfs.service", "[Service]\nExecStart=/etc/init.d/vfs start\n")
    users.put(host, "etc/systemd/system/other.service", "[Service]\nExecStart=/bin/true\n")
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir()
    (wants / "other.service").symlink_to("../other.service")
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "etc/rc.local").symlink_to("rc.d/rc.local")
    host.sysfs.reads.clear()
    assert found(host) == ["/etc/rc.local", "/etc/init.d/vfs", "/usr/lib/systemd/system/vfs.service"]
    assert set(host.sysfs.reads.values()) == {1}
    assert len(host.sysfs.reads) == 5


def test_what_blocks_has_no_end_or_is_elsewhere_is_not_read(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "root")
    users.put(host, "etc/systemd/system/a.service", UNIT)
    folder = host.root / "etc/systemd/system"
    os.mkfifo(folder / "b.service")
    (folder / "c.service").symlink_to("/dev/zero")
    (tmp_path / "outside.service").write_text(UNIT)
    (folder / "d.service").symlink_to(tmp_path / "outside.service")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/e.service").write_text(UNIT)
    (folder / "x.wants").symlink_to(tmp_path / "outside")
    (folder / "f.service").write_text("#" * (1 << 20) + "\n" + UNIT)
    host.sysfs.reads.clear()
    assert found(host) == ["/etc/systemd/system/a.service"]
    assert sorted(host.sysfs.reads) == ["/etc/systemd/system/a.service", "/etc/systemd/system/f.service"]


def test_an_apply_without_changes_reads_none_of_them(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    pf = host.igb()
    host.setup(pf, 3, [0, 1, 2])
    for path, text, _kind in WRITERS:
        users.put(host, path, text)
    host.sysfs.reads.clear()
    wanted = validate({"pfs": [{"pf": pf.address, "hardware_vfs": 3}]})
    converge.converge(host.sysfs, host.run, wanted)
    assert host.sysfs.writes == []
    assert not {f"/{path}" for path, _text, _kind in WRITERS} & set(host.sysfs.reads)


def test_status_names_them_where_numbers_are_declared(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    pf = host.igb()
    users.put(host, "etc/sysfs.conf", WRITERS[0][1])
    text = "sysfsutils sets numbers of VFs as well, by /etc/sysfs.conf: keep one writer, and take the other away"
    for spec, said in (({"hardware_vfs": 0}, True), ({"drivers_autoprobe": True}, False)):
        document = validate(json.loads(json.dumps({"pfs": [{"pf": pf.address, **spec}]})))
        notes = status.read(host.sysfs, host.run, None, (document, None), "none")["notes"]
        assert (text in notes) is said
