# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of the running and of the new kernel."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from .._model import kernel_interface
from .._model.command_line import parameters
from .._model.errors import KernelError
from .._model.paths import BOOT_ID, COMMAND_LINE, RELEASE, UPDATE_PARAMETER
from .._readers.kernel_image import HEAD_BYTES, image_build, image_release
from .._system.sysfs import Sysfs
from . import kexec, kexec_rules, meant_kernel


@dataclass(frozen=True)
class KernelFacts:
    """Facts of the running and of the new kernel.

    ``image_bytes`` is None when there is no such file. ``image_release`` and ``interface`` (of its SR-IOV files) are
    None when the files do not show them; so is ``image_signed``. ``keeps_vfs``: the new kernel keeps VFs enabled across
    kexec, by its series and its command line. ``rules``: those of the running kernel. ``image_build`` and
    ``running_build``: uname -v of the image and of the running kernel; ``cmdline_after``: of the new kernel, without
    the manifest's id; ``initrd_before``: of the running kernel, None without a file; ``no_way_back``: why nothing leads
    back to it.
    """

    running: str
    boot_id: str
    cmdline: str
    kexec_built_in: bool
    kexec_loaded: bool
    release: str
    image: str
    image_bytes: int | None
    image_release: str | None
    initrd: str | None
    initrd_bytes: int | None
    interface: str | None
    keeps_vfs: bool = False
    rules: kexec_rules.Rules = field(default_factory=kexec_rules.Rules)
    image_signed: bool | None = None
    image_build: str | None = None
    cmdline_after: str = ""
    initrd_before: str | None = None
    no_way_back: str | None = None
    running_build: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether the new kernel runs already.

        Its release, and its build where both are known.
        """
        same = self.image_build is None or self.running_build in (None, self.image_build)
        return self.running == self.release and same


def read(sysfs: Sysfs, release: str, initrd: str | None, cmdline_extra: str = "") -> KernelFacts:
    """Read the facts of the running kernel, and of ``release`` from /boot."""
    image, own = f"/boot/vmlinuz-{release}", f"/boot/initrd.img-{sysfs.read(RELEASE)}"
    if initrd == "auto":
        initrd = f"/boot/initrd.img-{release}"
        initrd = initrd if sysfs.exists(initrd) or sysfs.exists(own) else None
    symbols = _symbols(sysfs, f"/boot/System.map-{release}")
    interface, cmdline = kernel_interface.of_symbols(symbols), sysfs.read(COMMAND_LINE)
    cmdline_after = kexec.command_line(cmdline, None, UPDATE_PARAMETER, cmdline_extra)
    return KernelFacts(
        running=sysfs.read(RELEASE),
        boot_id=sysfs.read(BOOT_ID),
        cmdline=cmdline,
        kexec_built_in=sysfs.exists(kexec.LOADED),
        kexec_loaded=sysfs.exists(kexec.LOADED) and sysfs.read(kexec.LOADED) == "1",
        release=release,
        image=image,
        image_bytes=_size(sysfs, image),
        image_release=_image_release(sysfs, image),
        initrd=initrd,
        initrd_bytes=None if initrd is None else _size(sysfs, initrd),
        interface=interface.name if interface else None,
        keeps_vfs="pci_sriov_keep_vfs" in symbols and _keeps_vfs(cmdline_after),
        rules=kexec_rules.read(sysfs),
        image_signed=_image_signed(sysfs, image),
        image_build=_image_build(sysfs, image),
        cmdline_after=cmdline_after,
        initrd_before=own if sysfs.exists(own) else None,
        no_way_back=_no_way_back(sysfs),
        running_build=meant_kernel.build_of(sysfs),
    )


def _no_way_back(sysfs: Sysfs) -> str | None:
    """Why the running kernel could not be started again, or None."""
    running = sysfs.read(RELEASE)
    path = f"/boot/vmlinuz-{running}"
    if _size(sysfs, path) is None:
        return f"{path} does not exist any more"
    release, build, now = _image_release(sysfs, path), _image_build(sysfs, path), meant_kernel.build_of(sysfs)
    if release not in (None, running):
        return f"{path} is release {release} by now"
    if build is not None and now is not None and build != now:
        return f"{path} is the build '{build}' by now, running is '{now}'"
    return None


def _size(sysfs: Sysfs, path: str) -> int | None:
    try:
        return os.stat(sysfs.real(path)).st_size
    except FileNotFoundError:
        return None


def _image_release(sysfs: Sysfs, path: str) -> str | None:
    found = _ends(sysfs, path)
    return None if found is None else image_release(found[0])


def _image_build(sysfs: Sysfs, path: str) -> str | None:
    found = _ends(sysfs, path)
    return None if found is None else image_build(found[0])


def _image_signed(sysfs: Sysfs, path: str) -> bool | None:
    found = _ends(sysfs, path)
    return None if found is None else kexec_rules.is_signed(*found)


def _ends(sysfs: Sysfs, path: str) -> tuple[bytes, bytes] | None:
    """Begin and end of an image, None when it cannot be read."""
    try:
        with open(sysfs.real(path), "rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(-min(len(head), kexec_rules.MARK_BYTES), os.SEEK_END)
            return head, file.read()
    except OSError:
        return None


def _symbols(sysfs: Sysfs, path: str) -> str:
    """Read the text of a System.map, empty without one."""
    try:
        return sysfs.read(path)
    except KernelError:
        return ""


def _keeps_vfs(cmdline: str) -> bool:
    """Whether `pci=` has the series' option `sriov_keep_vfs`.

    It may stand alone or have a list of devices.
    """
    options = [one for word in parameters(cmdline) if word.startswith("pci=") for one in word[4:].split(",")]
    return any(one.split("=")[0] == "sriov_keep_vfs" for one in options)
