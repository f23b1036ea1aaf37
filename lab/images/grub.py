"""GRUB's files on the root file system of an emulated host.

grub.cfg is written by grub-mkconfig of that root file system, as on a host in the field, from `/etc/default/grub`. An
image's own disks are not there while it is made, so a small script stands in for grub-probe then.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from ..paths import IMAGES
from ..progress import LabError, run

UUID = "6b766d66-6c65-4574-8c61-62726f6f7401"
"""UUID of the root file system.

grub.cfg finds it by that, and has it in the ids of its entries.
"""
SETTINGS = IMAGES / "rootfs.d/etc/default/grub"
PROBE = IMAGES / "grub-probe.sh"
CONFIGURATION = "boot/grub/grub.cfg"
WITHIN = 'mount --bind "$1" "$2/usr/sbin/grub-probe" && exec chroot "$2" /usr/sbin/grub-mkconfig -o "/$3"'


def entry(release: str) -> str:
    """The path of a kernel's entry, as `grub-set-default` takes it."""
    return f"gnulinux-advanced-{UUID}>gnulinux-{release}-advanced-{UUID}"


def configure(tree: Path, release: str) -> None:
    """Write grub.cfg of a root file system, and choose a kernel.

    Raises `LabError` where grub-mkconfig has written no entry for it.
    """
    (tree / CONFIGURATION).parent.mkdir(parents=True, exist_ok=True)
    run(["unshare", "--mount", "sh", "-c", WITHIN, "sh", PROBE, tree, CONFIGURATION])
    if f"'gnulinux-{release}-advanced-{UUID}'" not in (tree / CONFIGURATION).read_text():
        raise LabError(f"grub-mkconfig wrote no entry for kernel {release}: see {tree / CONFIGURATION}")
    environment = tree / "boot/grub/grubenv"
    run(["grub-editenv", environment, "create"])
    run(["grub-editenv", environment, "set", f"saved_entry={entry(release)}"])


def command_line(settings: str) -> str:
    """The kernel's words in settings of grub-mkconfig."""
    (line,) = [one for one in settings.splitlines() if one.startswith("GRUB_CMDLINE_LINUX=")]
    return shlex.split(line)[0].partition("=")[2]


def once(release: str) -> str:
    """The id of the entry that `custom` has for a kernel."""
    return f"lab-{release}"


def custom(release: str, settings: str) -> str:
    """The text of custom.cfg, with an entry for one more kernel.

    grub.cfg reads that file; an image is changed without running grub-mkconfig in it.
    """
    return "\n".join([
        f"menuentry 'Linux {release}, put into the image' --id {once(release)} {{",
        f"\tsearch --no-floppy --fs-uuid --set=root {UUID}",
        f"\tlinux /boot/vmlinuz-{release} root=/dev/vdb {command_line(settings)}", "}", "",
    ])  # fmt: skip
