"""The root file system of an emulated hypervisor.

Debian 13 from apt's own mirror, as an ext4 image in the cache.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..paths import IMAGES, cache, key
from ..progress import LabError, run, step
from . import grub
from .cpio import Archive

SUITE = "trixie"
PACKAGES = (
    "systemd-sysv", "udev", "dbus", "openssh-server", "python3", "iproute2", "iputils-ping", "pciutils", "kmod",
    "procps", "grub-common", "grub2-common", "qemu-system-x86", "zstd", "apt",
)  # fmt: skip
LIBVIRT_PACKAGES = (
    "libvirt-daemon", "libvirt-daemon-driver-qemu", "libvirt-clients", "systemd-container", "qemu-utils",
)  # fmt: skip
"""Packages of hosts with libvirt.

systemd-container has machined, by which domains get their scopes.
"""
IMAGE_SIZE = "3G"
# Units that a short-lived emulated host does not need; without them it boots in half the time.
MASKED = (
    "systemd-hwdb-update.service", "systemd-logind.service", "systemd-random-seed.service", "getty@tty1.service",
    "serial-getty@ttyS0.service", "systemd-pstore.service", "systemd-network-generator.service",
    "systemd-journal-catalog-update.service",
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer",
    "systemd-tmpfiles-clean.timer", "man-db.timer", "systemd-update-utmp.service", "systemd-machine-id-commit.service",
    "systemd-networkd.service", "systemd-networkd.socket", "systemd-networkd-persistent-storage.service",
    "grub-common.service",
    "ldconfig.service", "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "systemd-tpm2-setup.service",
    "systemd-tpm2-setup-early.service", "systemd-pcrphase.service", "systemd-ask-password-wall.path",
)  # fmt: skip
SCRIPTS = ("cpio.py", "grub.py", "grub-probe.sh", "rootfs-init.sh", "rootfs-kernel.sh")
INITRD_MODULES = ("virtio_pci", "virtio_blk", "ext4")


@dataclass(frozen=True)
class RootFs:
    """An image of the root file system, and its parts.

    ``image``: ext4, never written to; ``kernel``: Debian's own, as in the image; ``ssh_key``: opens hosts.
    """

    image: Path
    kernel: Path
    ssh_key: Path


def mirror() -> str:
    """Debian's mirror by the settings of apt on this machine.

    ``KVMFLEET_DEBIAN_MIRROR`` overrides it.
    """
    if "KVMFLEET_DEBIAN_MIRROR" in os.environ:
        return os.environ["KVMFLEET_DEBIAN_MIRROR"]
    listed = run(["apt-get", "indextargets", "--format", "$(SITE) $(REPO_URI) $(COMPONENT)"])
    for line in listed.splitlines():
        address = line.split()[1]
        if re.search(r"/debian/?$", address):
            return address
    raise LabError("apt knows no Debian mirror: set KVMFLEET_DEBIAN_MIRROR to the address of one")


def ssh_key() -> Path:
    """The key pair of this user's labs, made on first use."""
    path = cache() / "ssh" / "id_ed25519"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "kvmfleet lab", "-f", path])
    return path


def build(libvirt: bool = False) -> RootFs:
    """Build the image for the present recipe, or reuse the cached one.

    It is made once, in about a minute; the one for hosts with ``libvirt`` in two.
    """
    more = LIBVIRT_PACKAGES if libvirt else ()
    secret = ssh_key()
    files = sorted(path for path in (IMAGES / "rootfs.d").rglob("*") if path.is_file())
    recipe: list[str | bytes] = [Path(__file__).read_bytes(), secret.with_suffix(".pub").read_bytes()]
    recipe += [(IMAGES / name).read_bytes() for name in SCRIPTS]
    recipe += [part for path in files for part in (str(path.relative_to(IMAGES)), path.read_bytes())]
    folder = cache() / "rootfs" / key([*recipe, *more])
    if not (folder / "root.ext4").exists():
        with step(f"root file system of the emulated hypervisors (Debian 13 packages{', libvirt' if libvirt else ''})"):
            _make(folder, secret, more)
    return RootFs(folder / "root.ext4", folder / "vmlinuz", secret)


def _make(folder: Path, secret: Path, more: tuple[str, ...]) -> None:
    if os.geteuid() != 0:
        raise LabError("building the root file system needs root (mmdebstrap --mode=root): run as root")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tree = Path(scratch) / "root"
        _bootstrap(tree, more, folder / "mmdebstrap.log")
        release = _install_kernel(tree)
        _customise(tree, secret)
        _write_initrd(tree, release)
        grub.configure(tree, release)
        shutil.copy(tree / "boot" / f"vmlinuz-{release}", folder / "vmlinuz")
        image = Path(scratch) / "root.ext4"
        run(["mke2fs", "-q", "-t", "ext4", "-L", "root", "-U", grub.UUID, "-d", tree, image, IMAGE_SIZE])
        image.rename(folder / "root.ext4")


def _bootstrap(tree: Path, more: tuple[str, ...], log: Path) -> None:
    argv = ["mmdebstrap", "--mode=root", "--variant=essential", f"--include={','.join((*PACKAGES, *more))}"]
    argv += [f"--customize-hook={IMAGES / 'rootfs-kernel.sh'}"]
    argv += [
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
    ]
    run([*argv, SUITE, str(tree), f"deb {mirror()} {SUITE} main"], log=log)


def _install_kernel(tree: Path) -> str:
    """Unpack Debian's kernel without its maintainer scripts.

    They would build an initrd for every driver there is.
    """
    (package,) = (tree / "var/cache").glob("linux-image-*.deb")
    run(["dpkg-deb", "-x", package, tree])
    package.unlink()
    (release,) = [path.name for path in (tree / "usr/lib/modules").iterdir()]
    run(["depmod", "-b", tree, release])
    return release


def _customise(tree: Path, secret: Path) -> None:
    shutil.copytree(IMAGES / "rootfs.d", tree, dirs_exist_ok=True)
    units = tree / "etc/systemd/system"
    for unit in MASKED:
        (units / unit).symlink_to("/dev/null")
    wants = units / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    for unit in ("lab-network.service", "lab-pf.service"):
        (wants / unit).symlink_to(f"/etc/systemd/system/{unit}")
    keys = tree / "root/.ssh"
    keys.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(secret.with_suffix(".pub"), keys / "authorized_keys")
    (tree / "etc/machine-id").write_text("")
    (tree / "var/log/journal").mkdir(exist_ok=True)
    (tree / "etc/hostname").unlink(missing_ok=True)


def _write_initrd(tree: Path, release: str) -> None:
    """Write an initrd of busybox and the root disk's modules.

    Of 2 MB, which GRUB reads in a moment.
    """
    archive = Archive()
    archive.file("bin/busybox", Path("/bin/busybox").read_bytes(), 0o755)
    archive.file("init", (IMAGES / "rootfs-init.sh").read_bytes(), 0o755)
    for folder in ("dev", "proc", "sys", "root", "modules"):
        archive.folder(folder)
    for number, path in enumerate(_module_files(tree, release)):
        data = path.read_bytes()
        archive.file(f"modules/{number:02}.ko", lzma.decompress(data) if path.suffix == ".xz" else data)
    (tree / "boot" / f"initrd.img-{release}").write_bytes(archive.gzip())


def _module_files(tree: Path, release: str) -> list[Path]:
    """Module files in loading order, without doubles."""
    found: dict[Path, None] = {}
    for module in INITRD_MODULES:
        for line in run(["modprobe", "-d", tree, "-S", release, "--show-depends", module]).splitlines():
            if line.startswith("insmod "):
                found[Path(line.split()[1])] = None
    return list(found)
