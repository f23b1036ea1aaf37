# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of a dry start, unable to harm. Pure.

It is made of that of the restore. Started as it is beside the running VM, that QEMU destroys it: memory with
``discard-data=on`` wipes the guest's, a server socket takes the place of the live monitor, a file of a console is cut,
a second client shuts a swtpm down. So each option is on a list here, or the line is not started at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .. import dry_start
from . import argv as _argv
from . import dry_words
from .dry_disks import SHORT, DryDisks, NetworkImage
from .dry_words import NotListedError
from .option_value import OptionValue

OPENED_CHARDEVS = ("socket", "serial", "tty", "parallel", "parport")
"""Backends whose path must be there."""
PLAIN_CHARACTERS = ("none", "null")
NET_KEPT = ("nic", "none")
NIC_KEPT = ("id", "model", "mac", "macaddr", "addr")
VHOST_NET = "/dev/vhost-net"
OF_DEVICES = {"vhost-vsock": "/dev/vhost-vsock", "vhost-scsi": "/dev/vhost-scsi"}
"""Files that dropped devices open, by the beginning of their names."""
PATHS = ("vhostdev", "hostdevice", "evdev", "sysfsdev")
"""Keys of dropped devices that are paths."""


@dataclass(frozen=True)
class DryLine:
    """``argv`` of the dry start, and what was left out of it.

    ``paths``: what it would open besides, to be looked at and not opened. ``networks``: images on a network.
    """

    argv: tuple[str, ...]
    paths: tuple[str, ...] = ()
    networks: tuple[NetworkImage, ...] = ()


def dry_line(restore_argv: Sequence[str]) -> DryLine:
    """Make the command line of a dry start.

    ``restore_argv``: as of `argv.for_restore`. Raises `NotListedError` naming the first option that is not listed.
    """
    return _Writer().line(restore_argv)


@dataclass
class _Writer:
    disks: DryDisks = field(default_factory=DryDisks)
    paths: list[str] = field(default_factory=list)
    hubs: int = 0

    def line(self, argv: Sequence[str]) -> DryLine:
        words = [argv[0], "-name", f"guest={dry_start.NAME}", "-display", "none"]
        for _index, option, value in _argv.options(argv):
            words += self._flag(option) if value is None else self._option(option, value)
        words += ["-S", "-incoming", "defer"]
        return DryLine(tuple(words), tuple(dict.fromkeys(self.paths)), tuple(self.disks.networks))

    def _flag(self, option: str) -> list[str]:
        if option in dry_words.FLAGS:
            return [option]
        if option in dry_words.DROPPED_FLAGS:
            return []
        raise NotListedError(option)

    def _option(self, option: str, value: str) -> list[str]:
        if option in dry_words.KEPT:
            return [option, value]
        if option in dry_words.DROPPED:
            return []
        if option in SHORT:
            return self.disks.short(option, value)
        if option not in RULES:
            raise NotListedError(option)
        return RULES[option](self, option, value)

    def device(self, _option: str, text: str) -> list[str]:
        value = OptionValue.parse(text, "driver")
        driver = value.get("driver")
        if dry_words.DROPPED_DEVICES.fullmatch(driver):
            self.paths += [value.get(key) for key in PATHS if value.get(key)]
            self.paths += [path for name, path in OF_DEVICES.items() if driver.startswith(name)]
            return []
        if not dry_words.DEVICES.fullmatch(driver):
            raise NotListedError(f"-device {driver}")
        return ["-device", text]

    def chardev(self, _option: str, text: str) -> list[str]:
        """A character device that leads nowhere, under the same id."""
        value = OptionValue.parse(text, "backend")
        is_file = not value.on("server") and not value.on("abstract")
        if value.get("path") and value.get("backend") in OPENED_CHARDEVS and is_file:
            self.paths.append(value.get("path"))
        kept = value.only(lambda key: key in ("id", "mux"))
        return ["-chardev", str(OptionValue({"backend": "null", **kept.items}))]

    def characters(self, option: str, text: str) -> list[str]:
        """A serial or parallel port that leads nowhere."""
        kind, _colon, rest = text.partition(":")
        address = OptionValue.parse(rest, "path")
        if kind == "unix" and not address.on("server") and not address.on("abstract"):
            self.paths.append(address.get("path"))
        if kind.startswith("/dev/"):
            self.paths.append(text)
        return [option, text if kind == "chardev" or text in PLAIN_CHARACTERS else "null"]

    def netdev(self, option: str, text: str) -> list[str]:
        """A network backend that leads nowhere, under the same id."""
        value = OptionValue.parse(text, "type")
        if value.get("type") == "none" and option == "-nic":
            return [option, text]
        self._look_at_backend(value)
        self.hubs += 1
        kept = value.only(lambda key: key in (NIC_KEPT if option == "-nic" else ("id",)))
        return [option, str(OptionValue({"type": "hubport", **kept.items, "hubid": str(self.hubs)}))]

    def net(self, _option: str, text: str) -> list[str]:
        value = OptionValue.parse(text, "type")
        if value.get("type") in NET_KEPT:
            return ["-net", text]
        self._look_at_backend(value)
        return []

    def _look_at_backend(self, value: OptionValue) -> None:
        kind = value.get("type")
        self.paths += [value.get(key) for key in ("helper", "vhostdev") if value.get(key)]
        if kind == "tap" and value.get("script") not in ("", "no"):
            self.paths.append(value.get("script"))
        if value.on("vhost"):
            self.paths.append(VHOST_NET)

    def dropped(self, _option: str, text: str) -> list[str]:
        """A helper of dropped devices; its path is looked at."""
        value = OptionValue.parse(text, "type")
        self.paths += [value.get("path")] if value.get("path") else []
        return []

    def audio(self, option: str, text: str) -> list[str]:
        value = OptionValue.parse(text, "driver")
        kept = value.only(lambda key: key in ("id", "model"))
        return [option, str(OptionValue({"driver": "none", **kept.items}, value.is_json))]


RULES: Mapping[str, Callable[[_Writer, str, str], list[str]]] = {
    "-machine": lambda _writer, option, value: dry_words.machine(option, value),
    "-M": lambda _writer, option, value: dry_words.machine(option, value),
    "-accel": lambda _writer, _option, value: dry_words.accel(value),
    "-vga": lambda _writer, option, value: dry_words.chosen(option, value, dry_words.VGA),
    "-usbdevice": lambda _writer, option, value: dry_words.chosen(option, value, dry_words.USB_DEVICES),
    "-global": lambda _writer, _option, value: dry_words.global_property(value),
    "-object": lambda _writer, _option, value: dry_words.object_(value),
    "-drive": lambda writer, _option, value: writer.disks.drive(value),
    "-blockdev": lambda writer, _option, value: writer.disks.blockdev(value),
    "-device": _Writer.device, "-chardev": _Writer.chardev, "-serial": _Writer.characters,
    "-parallel": _Writer.characters, "-debugcon": _Writer.characters, "-netdev": _Writer.netdev, "-nic": _Writer.netdev,
    "-net": _Writer.net, "-tpmdev": _Writer.dropped, "-fsdev": _Writer.dropped, "-virtfs": _Writer.dropped,
    "-audiodev": _Writer.audio, "-audio": _Writer.audio,
}  # fmt: skip
"""Rules of the options whose values are rewritten."""
