# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU command lines: parsing, and rewriting for a restore. Pure."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence

VFIO = ("vfio-pci", "vfio-pci-nohotplug")
FLAGS_DROPPED = ("-S", "-daemonize")
OPTIONS_DROPPED = ("-incoming", "-loadvm")
INHERITED = re.compile(r"(?:^|,)(?:fd|fds|vhostfd|vhostfds)=|^fd:|^/dev/fdset/|=/dev/fdset/")
VALUELESS = frozenset({
    "-S", "-daemonize", "-nodefaults", "-no-user-config", "-nographic", "-snapshot", "-enable-kvm", "-no-reboot",
    "-no-shutdown", "-full-screen", "-usb", "-no-acpi", "-no-hpet", "-no-fd-bootchk", "-only-migratable", "-preconfig",
    "-singlestep", "-win2k-hack", "-h", "-version", "-s", "-mem-prealloc", "-old-param", "-semihosting",
})  # fmt: skip
"""Options of QEMU that take no value (qemu-options.def without HAS_ARG)."""


def options(argv: Sequence[str]) -> Iterator[tuple[int, str, str | None]]:
    """(index, option with one dash, value or None) of each option.

    QEMU takes ``--x`` as ``-x``.
    """
    index = 1
    while index < len(argv):
        option = argv[index][1:] if argv[index].startswith("--") else argv[index]
        has_value = option.startswith("-") and option not in VALUELESS and index + 1 < len(argv)
        yield index, option, argv[index + 1] if has_value else None
        index += 2 if has_value else 1


def values(argv: Sequence[str], *names: str) -> list[str]:
    """Values of the options ``names``, in order."""
    return [value for _index, option, value in options(argv) if option in names and value is not None]


def parse(text: str, first: str = "") -> dict[str, str]:
    """Parse an option's value, ``a,b=c`` or JSON, into a mapping.

    ``first`` names a bare first part; ``,,`` is a comma (util/keyval.c).
    """
    if text.startswith("{"):
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):  # QEMU itself would not have started with it
            return {}
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in data.items()}
    pairs: dict[str, str] = {}
    for number, part in enumerate(re.split(r"(?<!,),(?!,)", text)):
        key, equals, value = part.replace(",,", ",").partition("=")
        if not equals:
            key, value = (first, key) if number == 0 and first else (key, "on")
        pairs[key] = value
    return pairs


def guest_name(argv: Sequence[str]) -> str | None:
    """Name of the guest: ``-name guest=X`` or ``-name X``, the last one."""
    names = [parse(value, "guest").get("guest") for value in values(argv, "-name")]
    return names[-1] if names else None


def qmp_sockets(argv: Sequence[str]) -> list[str]:
    """Paths of the unix sockets that speak QMP.

    From ``-qmp unix:PATH,..`` and from ``-mon mode=control`` with its ``-chardev socket``.
    """
    paths = [
        value[5:].split(",")[0] for value in values(argv, "-qmp", "-qmp-pretty") if value.startswith("unix:")
    ]  # fmt: skip
    chardevs = {item.get("id"): item for item in (parse(value, "backend") for value in values(argv, "-chardev"))}
    for monitor in (parse(value, "chardev") for value in values(argv, "-mon")):
        chardev = chardevs.get(monitor.get("chardev"), {})
        if monitor.get("mode") == "control" and "path" in chardev:
            paths.append(chardev["path"])
    return paths


def inherited(argv: Sequence[str]) -> list[str]:
    """Arguments with file descriptors inherited from the process that started QEMU.

    Nobody can give them to a new one.
    """
    arguments = ["-add-fd"] if values(argv, "-add-fd") else []
    return arguments + [item for item in argv[1:] if not item.startswith("-") and INHERITED.search(item)]


def throws_writes_away(argv: Sequence[str]) -> bool:
    """Whether QEMU drops disk writes: ``-snapshot`` or ``snapshot=on``.

    They are in a temporary file that is lost with the process.
    """
    drives = [parse(value) for value in values(argv, "-drive")]
    return any(option == "-snapshot" for _i, option, _v in options(argv)) or any(
        drive.get("snapshot") in ("on", "true") for drive in drives
    )


def devices(argv: Sequence[str]) -> list[dict[str, str]]:
    """Properties of each ``-device``, ``driver`` among them."""
    return [parse(value, "driver") for value in values(argv, "-device")]


def for_restore(argv: Sequence[str], machines: Mapping[str, str]) -> list[str]:
    """Command line of a QEMU that waits for the saved state.

    VFs are plugged later, the machine type is the versioned one. ``machines`` maps aliases (``q35``) to names
    (``pc-q35-10.0``). ``-S`` keeps the guest stopped until ``cont``.
    """
    kept = [argv[0]]
    for index, option, value in options(argv):
        if option in FLAGS_DROPPED or option in OPTIONS_DROPPED:
            continue
        if option == "-device" and value is not None and parse(value, "driver").get("driver") in VFIO:
            continue
        if option in ("-M", "-machine") and value is not None:
            value = _versioned(value, machines)
        kept.append(argv[index])
        kept.extend([] if value is None else [value])
    return [*kept, "-S", "-incoming", "defer"]


def for_cold_start(argv: Sequence[str]) -> list[str]:
    """Command line for a cold start: the one of the VM's owner.

    Without the additions of an earlier live update or of a daemon start.
    """
    kept = [argv[0]]
    for index, option, value in options(argv):
        if option not in FLAGS_DROPPED and option not in OPTIONS_DROPPED:
            kept.extend([argv[index]] if value is None else [argv[index], value])
    return kept


def _versioned(text: str, machines: Mapping[str, str]) -> str:
    """Value of ``-machine`` with the versioned type, wherever it stands."""
    if text.startswith("{"):
        name = parse(text).get("type")
        return text if name is None else json.dumps({**json.loads(text), "type": machines.get(name, name)})
    parts = re.split(r"(?<!,),(?!,)", text)
    for number, part in enumerate(parts):
        prefix, equals, name = part.rpartition("=")
        if prefix == "type" or (number == 0 and not equals):
            parts[number] = prefix + equals + machines.get(name, name)
    return ",".join(parts)


def bridges(argv: Sequence[str]) -> list[str]:
    """Bridges that QEMU attaches itself to.

    They must exist again before its start; the default is br0.
    """
    backends = [parse(value, "type") for value in values(argv, "-netdev", "-nic")]
    return sorted(
        {item.get("br", "br0") for item in backends if item.get("type") == "bridge" or ("br" in item and _is_tap(item))}
    )


def orphan_taps(argv: Sequence[str]) -> list[str]:
    """Tap interfaces that another program made (``script=no``).

    A kexec removes them and their place in a bridge.
    """
    backends = [parse(value, "type") for value in values(argv, "-netdev", "-nic")]
    return [item.get("ifname", "?") for item in backends if _is_tap(item) and item.get("script") == "no"]


def _is_tap(backend: Mapping[str, str]) -> bool:
    return backend.get("type") == "tap"


def run_folders(argv: Sequence[str]) -> list[str]:
    """Folders below /run for sockets and files of QEMU.

    A kexec empties /run, and QEMU does not make them.
    """
    folders = set()
    for item in argv[1:]:
        for path in re.findall(r"(?:^|[:=])(/(?:var/)?run/[^,]+)", item):
            folders.add(os.path.dirname(path))
    return sorted(folders)
