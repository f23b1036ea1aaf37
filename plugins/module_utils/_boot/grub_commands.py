# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of grub.cfg that decide what starts.

Sources: the GRUB manual, "Available commands", and grub-core/commands of GRUB 2.06.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Callable, Protocol

from .grub_script import Command
from .grub_state import Entry, Loaded, State, Text
from .grub_test import Answer, regexp
from .unknown import UnknownBootError

HARMLESS = (
    "insmod", "rmmod", "echo", "sleep", "clear", "terminal", "terminal_input", "terminal_output", "serial",
    "loadfont", "lsfonts", "background_image", "background_color", "play", "gettext", "videoinfo", "videotest",
    "hwmatch", "cmostest", "cmosset", "cmosclean", "keystatus", "cpuid", "vbeinfo", "password", "password_pbkdf2",
    "loopback", "devicetree", "acpi", "module", "module2", "fwsetup", "ls", "cat",
    "help", "list_env", "initrdefi", "net_bootp", "net_dhcp", "trust", "verify_detached", "nativedisk", "parttool",
    "gptsync", "usb", "bli",
)  # fmt: skip
"""They change no variable, menu or environment.

What they answer only the boot shows.
"""

LOADERS = (
    "linux", "linux16", "linuxefi", "multiboot", "multiboot2", "chainloader", "xen_hypervisor", "xen_module",
    "freebsd", "kfreebsd", "knetbsd", "ntldr", "drivemap", "appleloader",
)  # fmt: skip
ENDS = ("boot", "exit", "halt", "reboot")
"""They act at once: nothing after them is run."""
MENUS = ("configfile", "normal", "legacy_configfile", "syslinux_configfile", "extract_entries_configfile")
"""They show another menu, which has its own default."""
LINUX = ("linux", "linux16", "linuxefi")
WITH_VALUE = ("--class", "--users", "--hotkey", "--id")
NAME = r"[A-Za-z_][A-Za-z0-9_]*"


class Runner(Protocol):
    """What commands need of the reading that they are part of (`grub_run.Runner`)."""

    state: State

    def source(self, path: Text, line: int) -> Answer: ...
    def test(self, words: Sequence[Text]) -> Answer: ...
    def leave(self, line: int) -> Answer: ...


class ReturnSignal(Exception):  # noqa: N818 - it is no error
    """`return` of a function."""


class EndSignal(Exception):  # noqa: N818 - it is no error
    """A command of `ENDS`: what is loaded starts."""


def assigned(raw: str) -> str | None:
    """The name in a word `NAME=VALUE` as written, None for another."""
    match = re.match(rf"({NAME})=", raw)
    return match.group(1) if match else None


def assign(runner: Runner, name: str, word: Text) -> Answer:
    """`NAME=VALUE`, with ``word`` as expanded."""
    runner.state.variables[name] = None if word is None else word.partition("=")[2]
    return True


def run(runner: Runner, name: str, words: Sequence[Text], command: Command) -> Answer:
    """Run a command: its status, None where only the boot shows it."""
    if name in ("[", "test"):
        return runner.test(words[:-1] if name == "[" else words)
    if name in COMMANDS:
        return COMMANDS[name](runner, words, command)
    if name in LOADERS:
        return _load(runner, name, words)
    if name in ENDS:
        return _end(runner, name)
    if name in MENUS:
        raise UnknownBootError(f"line {command.line}: `{name}` shows another menu, which is not read")
    if name in HARMLESS:
        return None
    raise UnknownBootError(f"line {command.line}: command '{name}' is not understood")


def _load(runner: Runner, name: str, words: Sequence[Text]) -> Answer:
    """Load a kernel.

    One that is not there leaves what was loaded before.
    """
    there = name not in LINUX or not words or runner.test(["-e", words[0]])
    if there is not False or runner.state.loaded is None:
        runner.state.loaded = Loaded(name, tuple(words), runner.state.variables.get("root"))
    return False if there is False else None


def _end(runner: Runner, name: str) -> Answer:
    """`boot` without anything loaded is an error, and no more."""
    if name == "boot" and runner.state.loaded is None:
        return False
    if name != "boot":
        runner.state.loaded = Loaded(name, (), None)
    raise EndSignal


def _set(runner: Runner, words: Sequence[Text], command: Command) -> Answer:
    name = assigned(command.words[1].raw()) if len(command.words) > 1 else None
    if name is None:
        raise UnknownBootError(f"line {command.line}: what `set` sets is not understood")
    return assign(runner, name, words[0])


def _unset(runner: Runner, words: Sequence[Text], _command: Command) -> Answer:
    for word in _known(words, _command):
        runner.state.variables.pop(word, None)
    return True


def _export(runner: Runner, words: Sequence[Text], command: Command) -> Answer:
    for word in _known(words, command):
        name, equals, value = word.partition("=")
        runner.state.exported.add(name)
        if equals:
            runner.state.variables[name] = value
    return True


def _load_env(runner: Runner, words: Sequence[Text], command: Command) -> Answer:
    known = [word for word in _known(words, command) if word != "--skip-sig"]
    if any(word.startswith("-") for word in known):
        raise UnknownBootError(f"line {command.line}: `load_env` reads another file")
    for name, value in runner.state.environment.items():
        if not known or name in known:
            runner.state.variables[name] = value
    return True


def _save_env(runner: Runner, words: Sequence[Text], command: Command) -> Answer:
    known = _known(words, command)
    if any(word.startswith("-") for word in known):
        raise UnknownBootError(f"line {command.line}: `save_env` writes another file")
    for name in known:
        if runner.state.variables.get(name, "") == "":
            runner.state.environment.pop(name, None)
        else:
            runner.state.environment[name] = runner.state.variables[name]
    return None


def _search(runner: Runner, words: Sequence[Text], command: Command) -> Answer:
    """`search` sets root, or the variable that it names.

    The device is named by its mark here.
    """
    plain = [word for word in words if word is None or not word.startswith("-")]
    options = [word for word in words if word is not None and word.startswith("-")]
    variable = next((one.partition("=")[2] for one in options if one.startswith("--set=")), "root")
    if "--set" in options or "-s" in options:
        raise UnknownBootError(f"line {command.line}: `search --set NAME` is not understood")
    mark = plain[0] if len(plain) == 1 else None
    by = next((one for one in options if one in ("--fs-uuid", "-u", "--label", "-l", "--file", "-f")), None)
    runner.state.variables[variable] = None if mark is None or by is None else f"{by.lstrip('-')}:{mark}"
    return None


def _regexp(runner: Runner, words: Sequence[Text], command: Command) -> Answer:
    options = [word for word in words if word is not None and word.startswith("--set=")]
    plain = [word for word in words if word not in options]
    names = [option[len("--set=") :].rpartition(":")[2] for option in options]
    if len(plain) == 2 and None in plain:
        runner.state.variables.update(dict.fromkeys(names))
        return None
    if len(plain) != 2 or plain[0] is None or plain[1] is None:
        raise UnknownBootError(f"line {command.line}: `regexp` is not understood")
    try:
        match = regexp(plain[0], plain[1], bool(options))
    except re.error as error:
        raise UnknownBootError(f"line {command.line}: pattern '{plain[0]}': {error}") from error
    for option in options:
        number, _colon, name = option[len("--set=") :].rpartition(":")
        if match is not None:
            runner.state.variables[name] = match.group(int(number or 1)) or ""
    return match is not None


def _entry(runner: Runner, words: Sequence[Text], command: Command) -> Answer:
    """`menuentry` and `submenu` (grub-core/commands/menuentry.c)."""
    if command.block is None:
        raise UnknownBootError(f"line {command.line}: a menu entry without a block")
    plain, id_, restricted, rest = [], None, True, list(words)
    named = False
    while rest:
        word = rest.pop(0)
        if word == "--unrestricted":
            restricted = False
        elif word in WITH_VALUE and rest:
            value = rest.pop(0)
            named, id_ = (True, value) if word == "--id" else (named, id_)
        elif word is not None and word.startswith("--id="):
            named, id_ = True, word[len("--id=") :]
        elif word is None or not word.startswith("--"):
            plain.append(word)
        elif word.partition("=")[0] not in WITH_VALUE:
            raise UnknownBootError(f"line {command.line}: option '{word}' of a menu entry")
    if not plain:
        raise UnknownBootError(f"line {command.line}: a menu entry without a title")
    submenu = command.words[0].literal() == "submenu"
    entry = Entry(plain[0], id_ if named else plain[0], command.block, tuple(plain), submenu, restricted)
    runner.state.menu.append(entry)
    return True


def _initrd(runner: Runner, words: Sequence[Text], _command: Command) -> Answer:
    if runner.state.loaded is not None:
        runner.state.loaded = runner.state.loaded._replace(initrd=tuple(words))
    return None


def _source(runner: Runner, words: Sequence[Text], command: Command) -> Answer:
    return runner.source(words[0] if words else None, command.line)


def _ask(runner: Runner, words: Sequence[Text], _command: Command) -> Answer:
    """Ask a person, unless a file or the command has the key."""
    runner.state.asks |= not {"-k", "--key-file", "-p", "--password"} & {(one or "").partition("=")[0] for one in words}
    return None


def _known(words: Sequence[Text], command: Command) -> list[str]:
    known = [word for word in words if word is not None]
    if len(known) != len(words):
        raise UnknownBootError(f"line {command.line}: names depend on what only the boot shows")
    return known


COMMANDS: dict[str, Callable[[Runner, Sequence[Text], Command], Answer]] = {
    "set": _set, "unset": _unset, "export": _export, "load_env": _load_env, "save_env": _save_env, "search": _search,
    "regexp": _regexp, "menuentry": _entry, "submenu": _entry, "initrd": _initrd, "initrd16": _initrd,
    "source": _source, ".": _source, "cryptomount": _ask, "authenticate": _ask,
    "return": lambda runner, _words, command: runner.leave(command.line),
    "true": lambda *_: True, "false": lambda *_: False,
}  # fmt: skip
