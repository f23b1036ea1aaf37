"""Root file system with one more kernel, chosen for the first boot."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from ..kernels.packages import Kernel
from ..paths import cache, key
from ..progress import LabError, run, step
from . import grub
from .rootfs import RootFs

TICK = "nohz=off highres=off"
"""Words on the kernel's command line of hosts without nested VMs.

An emulated local APIC sometimes loses a one-shot timer, and with it a CPU; periodic ticks survive that. VMs need finer
timers.
"""
FOLDERS = {"boot": "/boot", "lib/modules": "/usr/lib/modules"}
"""Folders of a kernel's package, and their places in the image."""
GRUBENV, CUSTOM = "/boot/grub/grubenv", "/boot/grub/custom.cfg"


def build(root: RootFs, kernel: Kernel) -> RootFs:
    """The image with a kernel that GRUB boots once, kept by content.

    Later boots are as without it.
    """
    package = kernel.package
    recipe: list[str | bytes] = [
        Path(__file__).read_bytes(),
        root.image.parent.name,
        package.name,
        str(package.stat().st_mtime_ns),
    ]
    image = cache() / "kernel_images" / key(recipe) / "root.ext4"
    if not image.exists():
        image.parent.mkdir(parents=True, exist_ok=True)
        with step(f"root file system with kernel {kernel.release}"):
            _make(root, kernel, package, image)
    return replace(root, image=image)


def _make(root: RootFs, kernel: Kernel, package: Path, image: Path) -> None:
    with tempfile.TemporaryDirectory(dir=image.parent) as scratch:
        tree, made = Path(scratch) / "tree", Path(scratch) / image.name
        run(["cp", "--sparse=always", "--reflink=auto", root.image, made])
        run(["dpkg-deb", "-x", package, tree])
        environment = tree / "grubenv"
        run(["debugfs", "-R", f"dump {GRUBENV} {environment}", made])
        run(["grub-editenv", environment, "set", f"next_entry={grub.once(kernel.release)}", f"extra_arguments={TICK}"])
        custom = tree / "custom.cfg"
        custom.write_text(grub.custom(kernel.release, grub.SETTINGS.read_text()))
        commands = [*_commands(tree), f"rm {GRUBENV}", f"write {environment} {GRUBENV}", f"write {custom} {CUSTOM}"]
        script = Path(scratch) / "script"
        script.write_text("\n".join([*commands, ""]))
        run(["debugfs", "-w", "-f", script, made], log=image.with_name("debugfs.log"))
        run(["e2fsck", "-fn", made])
        _verify(made, f"/boot/vmlinuz-{kernel.release}", tree / "boot" / f"vmlinuz-{kernel.release}")
        _verify(made, GRUBENV, environment)
        _verify(made, CUSTOM, custom)
        shutil.move(made, image)


def _commands(tree: Path) -> list[str]:
    """Commands of debugfs(8) that put a package's files in their places."""
    found = []
    for source, target in FOLDERS.items():
        for path in sorted((tree / source).rglob("*")):
            place = f"{target}/{path.relative_to(tree / source)}"
            found.append(f"mkdir {place}" if path.is_dir() else f"write {path} {place}")
    return found


def _verify(image: Path, path: str, source: Path) -> None:
    """debugfs ends with status 0 whatever happened: compare what it wrote."""
    with tempfile.NamedTemporaryFile() as file:
        run(["debugfs", "-R", f"dump {path} {file.name}", image])
        if Path(file.name).read_bytes() != source.read_bytes():
            raise LabError(f"{path} is not in {image} as it should be: see {image.parent.parent / 'debugfs.log'}")
