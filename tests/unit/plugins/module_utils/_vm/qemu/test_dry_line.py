# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of a dry start, option by option."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import argv as _argv
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.dry_disks import NetworkImage
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.dry_line import DryLine, dry_line
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.dry_words import NotListedError
from lab.fleet.fleet import Vm
from lab.machine import vm as lab_vm

HEAD = ("qemu-system-x86_64", "-name", "guest=kvmfleet-dry-start", "-display", "none")
TAIL = ("-S", "-incoming", "defer")
CLOSED = "read-only=on,force-share=on"
NBD: dict[str, Any] = {"driver": "nbd", "server": {"type": "unix", "path": "/run/n"}, "export": "e"}
NBD_SPEC = "json:" + json.dumps(NBD)


def made(*words: str) -> DryLine:
    return dry_line(_argv.for_restore(["qemu-system-x86_64", *words], {"q35": "pc-q35-10.0"}))


def rewritten(*words: str) -> tuple[str, ...]:
    """The words between those that every dry start has."""
    argv = made(*words).argv
    assert (argv[: len(HEAD)], argv[-len(TAIL) :]) == (HEAD, TAIL)
    return argv[len(HEAD) : -len(TAIL)]


SAME = [
    ("-m", "4G,slots=4,maxmem=64G"), ("-smp", "4,maxcpus=8"), ("-cpu", "host,+vmx"), ("-nodefaults",), ("-enable-kvm",),
    ("-numa", "node,memdev=m0,nodeid=0"), ("-M", "pc-q35-10.0,accel=kvm,memory-backend=m0,smm=off"),
    ("-machine", '{"type": "pc-q35-10.0", "accel": "kvm"}'), ("-accel", "tcg,thread=multi"), ("-bios", "/fw"),
    ("-device", "pcie-root-port,id=rp1,chassis=1"), ("-device", '{"driver": "virtio-blk-pci", "drive": "d0"}'),
    ("-device", "virtio-net-pci,netdev=n0,mac=02:00:00:00:00:01"), ("-serial", "none"), ("-serial", "chardev:c0"),
    ("-object", "iothread,id=io0,poll-max-ns=1"), ("-object", "throttle-group,id=t0,limits.iops-total=9"),
    ("-object", "rng-random,id=r0,filename=/dev/urandom"), ("-object", '{"qom-type": "iothread", "id": "io0"}'),
    ("-kernel", "/k"), ("-append", "a -b"), ("-global", "ICH9-LPC.disable_s3=1"), ("-vga", "none"), ("-net", "none"),
    ("-nic", "none"), ("-drive", "if=ide,media=cdrom,id=cd0"), ("-sandbox", "on,spawn=deny"), ("-usbdevice", "tablet"),
]  # fmt: skip


@pytest.mark.parametrize("words", SAME, ids=" ".join)
def test_what_stays(words: tuple[str, ...]) -> None:
    assert rewritten(*words) == words


DROPPED = [
    ("-qmp", "unix:/run/q,server=on,wait=off"), ("-qmp-pretty", "stdio"), ("-mon", "c0,mode=control"),
    ("-monitor", "unix:/run/m,server"), ("-pidfile", "/run/x.pid"), ("-D", "/var/log/x"), ("-d", "guest_errors"),
    ("-trace", "file=/var/log/t"), ("-vnc", ":5"), ("-spice", "port=5900"), ("-gdb", "tcp::1234"), ("-s",),
    ("-display", "gtk"), ("-nographic",), ("-name", "guest=web1,debug-threads=on"), ("-mem-prealloc",), ("-daemonize",),
    ("-mem-path", "/dev/hugepages"), ("-overcommit", "mem-lock=on"), ("-S",), ("-incoming", "tcp:0:1"),
    ("-loadvm", "s"),
    ("-device", "vfio-pci,host=03:00.0"), ("-device", "tpm-crb,tpmdev=t0"), ("-tpmdev", "emulator,id=t0,chardev=c0"),
    ("-device", "vhost-user-blk-pci,chardev=c0"), ("-device", "usb-host,vendorid=1"),
    ("-object", "filter-dump,id=f,netdev=n0,file=/tmp/x.pcap"), ("-object", "input-linux,id=i,evdev=/dev/input/event3"),
    ("-object", "iommufd,id=i0"), ("--pidfile", "/run/x.pid"),
]  # fmt: skip


@pytest.mark.parametrize("words", DROPPED, ids=" ".join)
def test_what_is_dropped(words: tuple[str, ...]) -> None:
    assert rewritten(*words) == ()


REWRITTEN = [
    (
        ("-object", "memory-backend-file,id=m0,size=4G,mem-path=/dev/shm/x,share=on,discard-data=on,prealloc=on"),
        ("-object", "qom-type=memory-backend-ram,id=m0,size=4G,reserve=off"),
    ),
    (
        ("-object", "memory-backend-memfd,id=m0,size=1G,hugetlb=on,hugetlbsize=2M,host-nodes=0-1,policy=bind"),
        ("-object", "qom-type=memory-backend-ram,id=m0,size=1G,host-nodes=0-1,policy=bind,reserve=off"),
    ),
    (
        ("-object", '{"qom-type": "memory-backend-file", "id": "m0", "size": 64, "mem-path": "/dax", "pmem": true}'),
        ("-object", '{"qom-type": "memory-backend-ram", "id": "m0", "size": 64, "reserve": false}'),
    ),
    (("-serial", "file:/var/log/console"), ("-serial", "null")),
    (("-serial", "mon:stdio"), ("-serial", "null")),
    (("-parallel", "tcp::4,server"), ("-parallel", "null")),
    (("-debugcon", "file:/x"), ("-debugcon", "null")),
    (("-chardev", "file,id=c0,path=/var/log/x"), ("-chardev", "backend=null,id=c0")),
    (("-chardev", "socket,id=c0,path=/run/s,server=on,mux=on"), ("-chardev", "backend=null,id=c0,mux=on")),
    (("-chardev", "stdio,id=c0,logfile=/x,signal=off"), ("-chardev", "backend=null,id=c0")),
    (("-netdev", "user,id=n0,hostfwd=tcp::22-:22"), ("-netdev", "type=hubport,id=n0,hubid=1")),
    (("-netdev", '{"type": "tap", "id": "n0", "script": "no"}'), ("-netdev", "type=hubport,id=n0,hubid=1")),
    (("-nic", "user,model=e1000,mac=1"), ("-nic", "type=hubport,model=e1000,mac=1,hubid=1")),
    (("-net", "nic,model=e1000", "-net", "user"), ("-net", "nic,model=e1000")),
    (("-audiodev", "pa,id=a0,server=/x"), ("-audiodev", "driver=none,id=a0")),
    (("-drive", "file=/a,,b,format=raw,if=virtio"), ("-drive", f"file=/a,,b,format=raw,if=virtio,{CLOSED}")),
    (
        ("-drive", "file=/a,id=d,copy-on-read=on,readonly=off,auto-read-only=on,snapshot=off"),
        ("-drive", f"file=/a,id=d,{CLOSED}"),
    ),
    (("-drive", "file.filename=/a,file.driver=file,driver=qcow2"),
     ("-drive", f"file.filename=/a,file.driver=file,driver=qcow2,{CLOSED}")),
    (("-drive", 'file=json:{"driver":"qcow2",,"file":"/a"}'),
     ("-drive", f'file=json:{{"driver":"qcow2",,"file":"/a"}},{CLOSED}')),
    (("-cdrom", "/a,b.iso"), ("-drive", f"index=2,media=cdrom,file=/a,,b.iso,{CLOSED}")),
    (("-hda", "/a"), ("-drive", f"if=ide,index=0,media=disk,file=/a,{CLOSED}")),
    (("-pflash", "/vars"), ("-drive", f"if=pflash,file=/vars,{CLOSED}")),
    (
        ("-blockdev", "driver=qcow2,node-name=d,read-only=off,file.driver=file,file.filename=/a,file.read-only=off"),
        ("-blockdev", "driver=qcow2,node-name=d,read-only=on,file.driver=file,file.filename=/a,file.read-only=on,"
         "force-share=on"),
    ),
    (
        ("-blockdev", json.dumps({"driver": "qcow2", "node-name": "d", "file": {
            "driver": "file", "filename": "/a", "read-only": False, "auto-read-only": True}})),
        ("-blockdev", json.dumps({"driver": "qcow2", "node-name": "d", "file": {
            "driver": "file", "filename": "/a", "read-only": True}, "read-only": True, "force-share": True})),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("words", "after"), REWRITTEN, ids=[" ".join(words) for words, _after in REWRITTEN])
def test_what_is_rewritten(words: tuple[str, ...], after: tuple[str, ...]) -> None:
    assert rewritten(*words) == after


NOT_LISTED = [
    (("-readconfig", "/x"), "-readconfig"), (("-writeconfig", "/x"), "-writeconfig"), (("-chroot", "/x"), "-chroot"),
    (("-runas", "nobody"), "-runas"), (("-run-with", "user=x"), "-run-with"), (("-add-fd", "fd=3,set=1"), "-add-fd"),
    (("-snapshot",), "-snapshot"), (("-icount", "shift=1,rr=record,rrfile=/x"), "-icount"),
    (("-plugin", "x"), "-plugin"),
    (("-set", "drive.d.file=/x"), "-set"), (("-preconfig",), "-preconfig"), (("/disk.img",), "/disk.img"),
    (("-M", "virt,dumpdtb=/x"), "-M dumpdtb="),
    (("-machine", "q35,memory-encryption=s"), "-machine memory-encryption="),
    (("-M", "x-remote"), "-M x-remote"), (("-machine", "q35,accel=kvm:xen"), "-machine accel=xen"),
    (("-accel", "qtest"), "-accel qtest"), (("-vga", "qxl"), "-vga qxl"),
    (("-usbdevice", "braille"), "-usbdevice braille"),
    (("-device", "qxl-vga"), "-device qxl-vga"), (("-device", '{"driver": "u2f-passthru"}'), "-device u2f-passthru"),
    (("-device", "scsi-generic,drive=d"), "-device scsi-generic"), (("-device", "{}"), "-device "),
    (("-object", "sev-guest,id=s"), "-object sev-guest"), (("-object", "dbus-vmstate,id=x"), "-object dbus-vmstate"),
    (("-object", "memory-backend-file,id=m,mem-path=/x"), "-object memory-backend-file without size="),
    (("-object", "memory-backend-ram,id=m,size=1,new=on"), "-object memory-backend-ram,new="),
    (("-object", "memory-backend-epc,id=m,size=1"), "-object memory-backend-epc"),
    (("-object", "iothread,id=i,log=/x"), "-object iothread,log="),
    (("-global", "memory-backend-file.share=on"), "-global memory-backend-file.share=on"),
    (("-drive", "file=/a,snapshot=on"), "-drive snapshot=on"), (("-drive", "file=/a,if=sd"), "-drive if=sd"),
    (("-drive", "file=fat:rw:/dir"), "-drive driver=fat"), (("-drive", "file=/a,format=vhdx"), "-drive driver=vhdx"),
    (("-drive", "file=nvme://0000:01:00.0/1"), "-drive driver=nvme"),
    (("-drive", 'file=json:{"driver": "blkdebug"}'), "-drive driver=blkdebug"),
    (("-drive", "driver=qcow2,backing.driver=vvfat"), "-drive driver=vvfat"),
    (("-blockdev", '{"driver": "virtio-blk-vhost-vdpa", "node-name": "d"}'), "-blockdev driver=virtio-blk-vhost-vdpa"),
    (("-blockdev", "driver=raw,node-name=d,file.driver=blklogwrites"), "-blockdev driver=blklogwrites"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "option"), NOT_LISTED, ids=[" ".join(words) for words, _option in NOT_LISTED])
def test_what_is_not_listed_is_named(words: tuple[str, ...], option: str) -> None:
    with pytest.raises(NotListedError) as error:
        made(*words)
    assert str(error.value) == option


PATHS = [
    (("-chardev", "socket,id=c0,path=/run/swtpm"), ("/run/swtpm",)),
    (("-chardev", "socket,id=c0,path=/run/s,server=on"), ()),
    (("-chardev", "serial,id=c0,path=/dev/ttyS0"), ("/dev/ttyS0",)),
    (("-chardev", "file,id=c0,path=/var/log/x"), ()),
    (("-chardev", "socket,id=c0,path=name,abstract=on"), ()),
    (("-serial", "unix:/run/s"), ("/run/s",)),
    (("-serial", "unix:/run/s,server=on"), ()),
    (("-serial", "/dev/ttyS0"), ("/dev/ttyS0",)),
    (("-netdev", "tap,id=n0,vhost=on"), ("/dev/vhost-net",)),
    (("-netdev", "tap,id=n0,script=no"), ()),
    (("-netdev", "tap,id=n0,script=/x"), ("/x",)),
    (("-netdev", "bridge,id=n0,br=b,helper=/usr/lib/h"), ("/usr/lib/h",)),
    (("-netdev", "vhost-vdpa,id=n0,vhostdev=/dev/vhost-vdpa-0"), ("/dev/vhost-vdpa-0",)),
    (("-device", "vhost-vsock-pci,guest-cid=3"), ("/dev/vhost-vsock",)),
    (("-device", "vhost-vdpa-device-pci,vhostdev=/dev/v"), ("/dev/v",)),
    (("-tpmdev", "passthrough,id=t,path=/dev/tpm0"), ("/dev/tpm0",)),
    (("-fsdev", "local,id=f,path=/srv"), ("/srv",)),
    (("-virtfs", "local,path=/srv,mount_tag=x,security_model=none"), ("/srv",)),
]  # fmt: skip


@pytest.mark.parametrize(("words", "paths"), PATHS, ids=[" ".join(words) for words, _paths in PATHS])
def test_what_is_only_looked_at(words: tuple[str, ...], paths: tuple[str, ...]) -> None:
    assert made(*words).paths == paths


NETWORK: list[tuple[tuple[str, ...], tuple[str, ...], NetworkImage]] = [
    (
        ("-drive", "file=nbd:unix:/run/n:exportname=e,if=virtio,id=d,format=qcow2,cache=none"),
        ("-drive", "if=virtio,id=d,driver=null-co,read-only=on"),
        NetworkImage("nbd:unix:/run/n/e", "nbd:unix:/run/n:exportname=e"),
    ),
    (
        ("-drive", "file.driver=nbd,file.server.type=unix,file.server.path=/run/n,file.export=e,if=none,id=d"),
        ("-drive", "if=none,id=d,driver=null-co,read-only=on"),
        NetworkImage("nbd:unix:/run/n/e", NBD_SPEC),
    ),
    (
        ("-drive", 'file=json:{"driver": "rbd",, "pool": "p",, "image": "i"},if=none,id=d'),
        ("-drive", "if=none,id=d,driver=null-co,read-only=on"),
        NetworkImage("rbd:p/i"),
    ),
    (
        ("-cdrom", "https://boot/a.iso"),
        ("-drive", "index=2,media=cdrom,driver=null-co,read-only=on"),
        NetworkImage("https://boot/a.iso"),
    ),
    (
        ("-blockdev", json.dumps({**NBD, "node-name": "n"})),
        ("-blockdev", '{"driver": "null-co", "node-name": "n", "read-only": true}'),
        NetworkImage("nbd:unix:/run/n/e", NBD_SPEC),
    ),
    (
        ("-blockdev", json.dumps({"driver": "qcow2", "node-name": "q", "file": {**NBD, "tls-creds": "t"}})),
        ("-blockdev", '{"driver": "null-co", "node-name": "q", "read-only": true}'),
        NetworkImage("nbd:unix:/run/n/e"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("words", "after", "image"), NETWORK, ids=[" ".join(row[0]) for row in NETWORK])
def test_images_on_a_network(words: tuple[str, ...], after: tuple[str, ...], image: NetworkImage) -> None:
    """No second client connects: the server may have room for one."""
    assert rewritten(*words) == after
    assert made(*words).networks == (image,)


@pytest.mark.parametrize(("driver", "stays"), [("raw", True), ("qcow2", False)])
def test_a_format_above_an_image_on_a_network(driver: str, stays: bool) -> None:
    """An empty disk is no qcow2."""
    above = {"driver": driver, "node-name": "q", "file": "n"}
    after = rewritten("-blockdev", json.dumps({**NBD, "node-name": "n"}), "-blockdev", json.dumps(above))
    stub = {"driver": "null-co", "node-name": "q", "read-only": True}
    assert json.loads(after[3]) == ({**above, "read-only": True, "force-share": True} if stays else stub)


def test_guests_of_the_lab_are_started_dry() -> None:
    argv = lab_vm.argv(Vm("web1", 0, 0, "02:00:00:00:00:01", 7), "0000:03:10.0")
    assert dry_line(_argv.for_restore(argv, {})).paths == ()


def test_each_backend_has_a_network_of_its_own() -> None:
    after = rewritten("-netdev", "user,id=a", "-netdev", "user,id=b")
    assert [word.rpartition("hubid=")[2] for word in after[1::2]] == ["1", "2"]
