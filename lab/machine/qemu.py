"""The QEMU command line of an emulated hypervisor. Pure.

Why each odd option is there: docs/lab.md. Source of the NVMe ones: QEMU docs/system/devices/nvme.rst, "SR-IOV".
"""

from __future__ import annotations

from pathlib import Path

from ..fleet.fleet import Host, Pf

SLOT = "spare"
"""Name of the empty port that devices are plugged into (`device_add`, bus=spare)."""


def hypervisor(
    host: Host, accelerator: str, disks: tuple[Path, Path], ssh_port: int, folder: Path, sockets: Path
) -> list[str]:
    """Command line that starts a host.

    ``disks`` are the boot disk (raw, read only) and the root disk (qcow2, this host's own).
    """
    boot, root = disks
    argv = ["qemu-system-x86_64", "-name", f"guest={host.name},process=kvmfleet-{host.name}"]
    argv += [*_machine(accelerator), "-smp", str(host.cpus), "-m", str(host.memory_mib)]
    argv += ["-nodefaults", "-no-user-config", "-display", "none", "-device", "virtio-rng-pci"]
    argv += ["-device", "intel-iommu,intremap=on"] if host.iommu else []
    argv += [
        "-drive",
        f"if=none,id=boot,file={boot},format=raw,readonly=on",
        "-device",
        "virtio-blk-pci,drive=boot,bootindex=0,addr=0x8",
    ]
    argv += ["-drive", f"if=none,id=root,file={root},format=qcow2,cache=unsafe,discard=unmap"]
    argv += ["-device", "virtio-blk-pci,drive=root,addr=0x9"]
    argv += ["-netdev", f"user,id=manage,hostfwd=tcp:127.0.0.1:{ssh_port}-:22"]
    argv += ["-device", "virtio-net-pci,netdev=manage,romfile=,addr=0xa"]
    argv += [
        "-chardev",
        f"socket,id=console,path={sockets / host.name}.console,server=on,wait=off,"
        f"logfile={folder / 'console.log'},logappend=on",
    ]
    argv += ["-serial", "chardev:console", "-qmp", f"unix:{sockets / host.name}.qmp,server=on,wait=off"]
    argv += ["-pidfile", str(folder / "qemu.pid"), "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
    for index, pf in enumerate(host.pfs):
        argv += _function(pf, index, host.number)
    argv += ["-device", f"pcie-root-port,id={SLOT},bus=pcie.0,addr=0x1c,chassis=200,io-reserve=0"]
    return [*argv, "-device", "i6300esb,addr=0xb", "-action", "watchdog=reset"]


def _machine(accelerator: str) -> list[str]:
    if accelerator == "kvm":
        return ["-M", "q35,kernel-irqchip=split", "-accel", "kvm", "-cpu", "host"]
    return ["-M", "q35,kernel-irqchip=off", "-accel", "tcg,thread=single,tb-size=512", "-cpu", "qemu64"]


def _function(pf: Pf, index: int, host: int) -> list[str]:
    """Options for a root port and the PF behind it.

    Ports fill the slots from 0x10 on, eight functions each: 20 PFs fit.
    """
    slot = f"{0x10 + index // 8:#x}.{index % 8}"
    many = ",multifunction=on" if index % 8 == 0 else ""
    port = f"pcie-root-port,id=port{index},bus=pcie.0,addr={slot}{many},chassis={index + 1},io-reserve=0,hotplug=off"
    argv = ["-device", port]
    if pf.kind == "igb":
        argv += ["-netdev", f"user,id=net{index},restrict=on"]
        return [
            *argv,
            "-device",
            f"igb,bus=port{index},netdev=net{index},mac=52:54:00:00:{host:02x}:{index:02x},romfile=",
        ]
    vfs = pf.vfs
    argv += ["-device", f"nvme-subsys,id=subsys{index}"]
    limits = f"sriov_max_vfs={vfs},sriov_vq_flexible={2 * vfs},sriov_vi_flexible={vfs}"
    limits += f",max_ioqpairs={2 * vfs + 2},msix_qsize={vfs + 2}"
    return [*argv, "-device", f"nvme,serial=S{host}-{index},subsys=subsys{index},bus=port{index},{limits}"]
