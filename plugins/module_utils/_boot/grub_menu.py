# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entry of GRUB's menus starts, and what it loads.

Source: grub-core/normal/menu.c of GRUB 2.06 (get_entry_number, menuentry_eq, grub_menu_execute_entry).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .grub_commands import EndSignal
from .grub_run import Files, Runner
from .grub_script import parse
from .grub_state import Entry, Loaded, State, Text
from .unknown import UnknownBootError

NUMBER = re.compile(r"\s*(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
"""What grub_strtoul takes as a number with base 0, whatever follows it."""
MAX_DEPTH = 10


@dataclass(frozen=True)
class Choice:
    """An entry as it would be started.

    ``path``: ids from the top menu, as `default` takes them. ``how``: by what each of them was found (``number``,
    ``name``, or ``first`` for entry 0 in place of what was not found). ``environment`` is the block afterwards.
    ``asks``: a person, for a passphrase.
    """

    path: str
    titles: tuple[str, ...]
    how: tuple[str, ...]
    loaded: Loaded | None
    environment: dict[str, Text]
    asks: bool = False


@dataclass(frozen=True)
class Menu:
    """A configuration that was read to its end.

    The menu, and the state that it leaves.
    """

    state: State
    files: Files

    def default(self) -> Choice:
        """The entry that starts by itself; raises `UnknownBootError`."""
        if "default" in self.state.variables and self.state.variables["default"] is None:
            raise UnknownBootError("variable `default` depends on what only the boot shows")
        return _follow(self.state.copy(), self.files, self.state.variables.get("default"), (), (), ())

    def fallback(self) -> Choice | None:
        """The entry that starts when the default cannot be loaded.

        None without one. Only a number is understood: versions of GRUB differ in what else they take.
        """
        text = self.state.variables.get("fallback", "")
        if text == "":
            return None
        if text is None or NUMBER.fullmatch(text.split()[0]) is None:
            raise UnknownBootError(f"`fallback` is '{text}', which not every GRUB understands")
        return _follow(self.state.copy(), self.files, text.split()[0], (), (), ())

    def waits(self) -> bool:
        """Whether a boot waits for a person.

        At the menu (timeout -1, or none), or for a passphrase.
        """
        text = self.state.variables.get("timeout", "")
        return (text is not None and NUMBER.match(text) is None) or self.default().asks

    def entries(self) -> list[Choice]:
        """All entries that load something, with those of submenus."""
        return list(_walk(self.state, self.files, (), (), 0))


def read(text: str, environment: dict[str, str], prefix: str, files: Files, started_from: str = "") -> Menu:
    """Read grub.cfg as GRUB would with this environment block.

    ``prefix`` as GRUB has it; ``started_from``: its folder on the ESP. Raises `UnknownBootError` for what is not
    understood.
    """
    runner = Runner(State.begin(environment, prefix, started_from), files)
    try:
        runner.run(parse(text))
    except EndSignal:
        raise UnknownBootError("grub.cfg starts something before there is a menu (`boot`, `exit`)") from None
    return Menu(runner.state, files)


def _follow(
    state: State, files: Files, wanted: str | None, ids: tuple[Text, ...], titles: tuple[str, ...], how: tuple[str, ...]
) -> Choice:
    if not state.menu:
        raise UnknownBootError(f"the menu {' > '.join(titles) or 'at the top'} has no entries")
    if len(ids) > MAX_DEPTH:
        raise UnknownBootError(f"more than {MAX_DEPTH} menus in one another")
    number, found = position(state, wanted)
    entry = state.menu[number]
    ids, titles, how = (*ids, entry.id), (*titles, entry.title or "?"), (*how, found)
    inner = _run(state, files, entry, ids, _rest(wanted or ""))
    if entry.submenu and inner.loaded is None:  # GRUB starts what is loaded, in place of showing the menu
        return _follow(inner, files, inner.variables.get("default", ""), ids, titles, how)
    return Choice(_path(ids), titles, how, inner.loaded, inner.environment, inner.asks)


def _run(state: State, files: Files, entry: Entry, ids: tuple[Text, ...], rest: str | None) -> State:
    """The state after an entry's block.

    There `default` is ``rest``, what follows the entry in the path.
    """
    if entry.restricted and "superusers" in state.variables:  # an empty list, too
        raise UnknownBootError(f"entry '{entry.title}' asks for the password of a superuser of GRUB")
    inner = state.nested() if entry.submenu else state.copy()
    inner.variables["chosen"] = None if None in ids else _path(ids)
    inner.variables["default"] = rest or ""
    Runner(inner, files).call(entry)
    return inner


def _walk(state: State, files: Files, ids: tuple[Text, ...], titles: tuple[str, ...], depth: int) -> Iterator[Choice]:
    if depth > MAX_DEPTH:
        raise UnknownBootError(f"more than {MAX_DEPTH} menus in one another")
    for entry in filter(_certain, state.menu):
        here, names = (*ids, entry.id), (*titles, entry.title or "?")
        inner = state.nested() if entry.submenu else state.copy()
        inner.variables["chosen"] = None if None in here else _path(here)
        try:
            Runner(inner, files).call(entry)
        except UnknownBootError:
            continue  # it is not a choice then
        if entry.submenu and inner.loaded is None:
            yield from _walk(inner, files, here, names, depth + 1)
        elif inner.loaded is not None and None not in here:
            yield Choice(_path(here), names, ("name",) * len(here), inner.loaded, inner.environment, inner.asks)


def position(state: State, wanted: str | None) -> tuple[int, str]:
    """Number of the entry that `default` means in a menu.

    And by what it was found. GRUB takes text that begins with a digit for a number; some distributions' GRUB looks for
    ids first.
    """
    match = NUMBER.match(wanted or "")
    named = _named(state.menu, wanted) if wanted else None
    if named is not None and match is None:
        return named, "name"
    if state.unordered:
        raise UnknownBootError(
            f"`default` is '{wanted or ''}', which names no entry, and entries were made in the order of a folder on "
            "disk"
        )
    if match is None:
        return _counted(state.menu, 0), "first"
    number = int(match.group(1), 0) if not re.fullmatch(r"0[0-7]+", match.group(1)) else int(match.group(1), 8)
    if (wanted or "")[match.end() :][:1] not in ("", ">") or named is not None:
        raise UnknownBootError(
            f"`default` is '{wanted}': some versions of GRUB take it for a name, others for number {number}"
        )
    number = _counted(state.menu, number)
    return (number, "number") if number < len(state.menu) else (0, "first")


def _counted(menu: list[Entry], number: int) -> int:
    """``number`` again, where all entries up to it are certain."""
    unsure = next(itertools.filterfalse(_certain, menu[: number + 1]), None)
    if unsure is not None:
        raise UnknownBootError(
            f"entry {number} of the menu is meant by its number, and whether '{unsure.title}' is among those before it "
            "depends on what only the boot shows: name the default by its id"
        )
    return number


def _certain(entry: Entry) -> bool:
    return entry.certain


def _named(menu: list[Entry], wanted: str) -> int | None:
    """Number of the first entry with a title or id.

    It is the first part of ``wanted``.
    """
    for number, entry in enumerate(menu):
        if entry.title is None or entry.id is None:
            raise UnknownBootError("the name of an entry depends on what only the boot shows")
        if _first(wanted) in (entry.title, entry.id):
            if not entry.certain:
                raise UnknownBootError(
                    f"whether the menu has entry '{entry.title}' depends on what only the boot shows"
                )
            return number
    return None


def _first(path: str) -> str:
    """The first part of a path: up to a single `>`.

    `>>` stands for one in a name.
    """
    return path[: _end(path)].replace(">>", ">")


def _rest(path: str) -> str | None:
    return path[_end(path) + 1 :] or None


def _end(path: str) -> int:
    at = 0
    while at < len(path):
        if path.startswith(">>", at):
            at += 2
        elif path[at] == ">":
            return at
        else:
            at += 1
    return at


def _path(ids: tuple[Text, ...]) -> str:
    return ">".join((one or "?").replace(">", ">>") for one in ids)
