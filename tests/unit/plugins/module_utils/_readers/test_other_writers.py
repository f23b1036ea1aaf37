# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other writers of sriov_numvfs, wherever they are configured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers import other_writers
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report import status
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost

WRITE = "echo 4 > /sys/class/net/eth0/device/sriov_numvfs\n"
VLAN = "network: {ethernets: {eth0: {}}, vlans: {v: {id: 3, link: eth0}}}\n"
BY_LINK = "network:\n  ethernets:\n    eth0: {}\n    eth0v0: {link: eth0}\n"
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
]


@pytest.mark.parametrize(("path", "text", "kind"), WRITERS)
def test_configured_writers(tmp_path: Path, path: str, text: str, kind: str) -> None:
    host = FakeHost(tmp_path)
    users.put(host, path, text)
    assert [(one.kind, one.path) for one in other_writers.find(host.sysfs)] == [(kind, f"/{path}")]


CALLERS = [
    ("etc/systemd/system/vfs.service", "[Service]\nExecStart=/usr/local/bin/vfs.sh 4\n", "a systemd unit"),
    ("etc/cron.d/vfs", "@reboot root /usr/local/bin/vfs.sh 4\n", "cron"),
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
    ("etc/modprobe.d/mlx4.conf", "options mlx4_core num_vfs=0,0,0\n"),
    ("proc/cmdline", "quiet ixgbe.max_vfs=0\n"),
    ("etc/systemd/system/x.service", "[Service]\nExecStart=/usr/local/sbin/sriovctl apply\n"),
]


@pytest.mark.parametrize(("path", "text"), NONE)
def test_readers_and_others_are_none(tmp_path: Path, path: str, text: str) -> None:
    host = FakeHost(tmp_path)
    users.put(host, path, text)
    assert list(other_writers.find(host.sysfs)) == []


def test_status_names_them_where_numbers_are_declared(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    pf = host.igb()
    users.put(host, "etc/sysfs.conf", WRITERS[0][1])
    text = "sysfsutils sets numbers of VFs as well, by /etc/sysfs.conf: keep one writer, and take the other away"
    for spec, said in (({"hardware_vfs": 0}, True), ({"drivers_autoprobe": True}, False)):
        document = validate(json.loads(json.dumps({"pfs": [{"pf": pf.address, **spec}]})))
        notes = status.read(host.sysfs, host.run, None, (document, None), "none")["notes"]
        assert (text in notes) is said
