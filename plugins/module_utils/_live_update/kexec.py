# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading a kernel with kexec_file_load(2), and starting it."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from .._model.command_line import init_at, split
from .._model.errors import BadInputError, KernelError, SriovError
from .._model.paths import KEXEC_IMAGE, KEXEC_LOADED
from .._system import durable
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import kexec_rules

LOADED = KEXEC_LOADED
SYSCALLS = {"x86_64": 320, "aarch64": 294}
"""Numbers of kexec_file_load by machine.

Sources: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h.
"""

FILE_UNLOAD, FILE_NO_INITRAMFS = 0x1, 0x4
"""Flags of kexec_file_load (include/uapi/linux/kexec.h)."""

HINTS = {
    errno.EACCES: "the kernel's integrity policy (IMA) demands a signature that it trusts",
    errno.ENOEXEC: "not a kernel image that this kernel can load",
    errno.EKEYREJECTED: "its signature is not trusted by this kernel",
    errno.ENODATA: "it is not signed and this kernel insists (CONFIG_KEXEC_SIG_FORCE)",
    errno.ENOSYS: "this kernel was built without CONFIG_KEXEC_FILE",
    errno.EBUSY: "another load is under way",
}


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call that glibc does not wrap: 0 or errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    converted = [item if isinstance(item, bytes) or item is None else ctypes.c_long(item) for item in arguments]
    if int(libc.syscall(ctypes.c_long(number), *converted)) == 0:
        return 0
    return ctypes.get_errno()


def reboot(command: int) -> int:
    """Call reboot(2) by glibc, which fills in the magic numbers.

    Returns the errno, or does not return.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.reboot(ctypes.c_int(command))
    return ctypes.get_errno()


@dataclass(frozen=True)
class Image:
    """A kernel image, loaded or to be loaded, with its initrd.

    Checksums are sha256 in hex; the initrd may be missing.
    """

    image: str
    sha256: str
    initrd: str | None
    initrd_sha256: str | None
    command_line: str

    @classmethod
    def of(cls, sysfs: Sysfs, image: str, initrd: str | None, command_line: str) -> Image:
        checksum = None if initrd is None else _sha256(sysfs, initrd)
        return cls(image, _sha256(sysfs, image), initrd, checksum, command_line)


def _sha256(sysfs: Sysfs, path: str) -> str:
    digest = hashlib.sha256()
    with _Handle(sysfs, path) as handle:
        while data := os.read(handle, 1 << 20):
            digest.update(data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Kexec:
    """Loader and starter of kernels.

    ``machine`` as of uname(2). System calls and clocks are members, so that tests can replace them.
    """

    sysfs: Sysfs
    run: Run
    machine: str = field(default_factory=platform.machine)
    syscall: Callable[..., int] = syscall
    reboot: Callable[[int], int] = reboot
    sync: Callable[[], None] = os.sync
    sleep: Callable[[float], None] = time.sleep

    def loaded(self) -> bool:
        """Whether a kernel is loaded: /sys/kernel/kexec_loaded (kernel/ksysfs.c).

        A kernel without kexec has no such file.
        """
        return self.sysfs.exists(LOADED) and self.sysfs.read(LOADED) == "1"

    def load(self, image: str, initrd: str | None, cmdline: str) -> None:
        """Load ``image`` for the next kexec, replacing an earlier one.

        Raises `KernelError` when the kernel refuses, `SriovError` when it reports no loaded image afterwards.
        """
        with _Handle(self.sysfs, image) as kernel:
            if initrd is None:
                self._call(image, kernel, -1, cmdline, FILE_NO_INITRAMFS)
            else:
                with _Handle(self.sysfs, initrd) as ramdisk:
                    self._call(image, kernel, ramdisk, cmdline, 0)
        if not self.loaded():
            raise SriovError(f"{image} was taken by kexec_file_load but {LOADED} is not 1")
        self._note(Image.of(self.sysfs, image, initrd, cmdline))

    def unload(self) -> None:
        self._call("the loaded image", -1, -1, "", FILE_UNLOAD)
        durable.remove(self.sysfs.real(KEXEC_IMAGE))
        if self.loaded():
            raise SriovError(f"the image was unloaded but {LOADED} is still 1")

    def image(self) -> Image | None:
        """The loaded image by the note of `load`.

        None when nothing is loaded, or when another program loaded it.
        """
        note = durable.read_json(self.sysfs.real(KEXEC_IMAGE)) if self.loaded() else None
        return None if note is None else Image(**note)

    def _note(self, image: Image) -> None:
        """Note the loaded image: the kernel reports only that there is one.

        A kexec removes both, the loaded image and the note in /run.
        """
        path = self.sysfs.real(KEXEC_IMAGE)
        durable.make_folder(os.path.dirname(path))
        durable.write_json(path, asdict(image))

    def _call(self, what: str, kernel: int, initrd: int, cmdline: str, flags: int) -> None:
        number = SYSCALLS.get(self.machine)
        if number is None:
            known = ", ".join(sorted(SYSCALLS))
            raise BadInputError(f"kexec_file_load is not known here for {self.machine}; known: {known}")
        text = cmdline.encode() + b"\0" if cmdline else None
        failed = self.syscall(number, kernel, initrd, len(text or b""), text, flags)
        if failed:
            hint = HINTS.get(failed, "see the kernel log")
            hint = kexec_rules.explain(self.sysfs, what) if failed == errno.EPERM else hint
            raise KernelError("load with kexec_file_load", f"{what} [{hint}]", failed)


class _Handle:
    """An open file descriptor for reading.

    Closed at the end of its block.
    """

    def __init__(self, sysfs: Sysfs, path: str) -> None:
        self._sysfs, self._path = sysfs, path

    def __enter__(self) -> int:
        try:
            self._number = os.open(self._sysfs.real(self._path), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise KernelError("open", self._path, error.errno or 0) from error
        return self._number

    def __exit__(self, *_unused: object) -> None:
        os.close(self._number)


def command_line(running: str, manifest_id: str | None, token: str, extra: str = "") -> str:
    """The new kernel's command line, made from the running one.

    Words of the boot loader and of an earlier update are left out. Words of ``extra`` that are there already are not
    added again: an updated host is updated from its running line. One with ``-`` before it is taken away. ``panic=30``
    leads a kernel that panics back through firmware to the known-good one, unless a value was there. Words are the
    kernel's: quotes hold blanks together, and what is after ``--`` stays there, as it is for init.
    """
    dropped = ("BOOT_IMAGE=", "initrd=", token + "=")
    asked = split(extra)
    away = {word[1:] for word in asked if word.startswith("-")}
    words = [word for word in split(running) if not word.startswith(dropped) and word not in away]
    end = init_at(words)
    words, of_init = words[:end], words[end:]
    words += [word for word in asked if not word.startswith(("-", *dropped)) and word not in words]
    if not any(word.startswith("panic=") for word in words):
        words.append("panic=30")
    if manifest_id is not None:
        words.append(f"{token}={manifest_id}")
    return " ".join((*words, *of_init))
