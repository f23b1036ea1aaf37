# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a finished kernel configuration is as it was asked for.

``make olddefconfig`` drops what does not fit without a word. A whole configuration (one that kconfig wrote) must hold
by itself, as far as its options can be chosen; the lines of a fragment must hold in the end, whatever they are. What
fragments take away of a whole configuration is a note: whoever wrote them asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .._model.errors import BadInputError
from . import kconfig
from .kconfig import UNSET, Definition

Complete = Callable[[str], str]
"""Completes a configuration by olddefconfig; text to text."""
Values = Mapping[str, str]


@dataclass(frozen=True)
class Configuration:
    """A configuration of a request; ``whole``: of all options, not a fragment."""

    name: str
    text: str
    whole: bool = False


@dataclass(frozen=True)
class Lost:
    """An option that is not as a configuration asks."""

    option: str
    config: str
    wanted: str
    value: str


def finish(configs: Iterable[Configuration], complete: Complete, tree: Path, arch: str) -> list[str]:
    """Complete the merged configurations, the last call of ``complete``; returns notes.

    Raises BadInputError naming each option that was lost, with the likely reason.
    """
    configs = tuple(configs)
    whole, fragments = _asked(configs, whole=True), _asked(configs, whole=False)
    before = complete(_merged(configs, whole=True)) if whole and fragments else None
    values = kconfig.options(complete(_merged(configs)))
    alone = values if before is None else kconfig.options(before)
    kept = {name: one for name, one in whole.items() if name not in fragments}
    weaker, other = list(_weaker(kept, alone)), list(_other(fragments, values))
    found = kconfig.definitions(tree, arch, {one.option for one in (*weaker, *other)})
    lines = [_line(one, alone, found) for one in weaker if one.option in found and found[one.option].prompt]
    lines += [_line(one, values, found) for one in other]
    if lines:
        raise BadInputError("\n".join([_HEAD.format(len(lines)), *lines, _TAIL]))
    missed = {one.option for one in weaker}
    return [
        *_note("this source does not have", missed.difference(found)),
        *_note("fragments take away", {one.option for one in _weaker(kept, values)} - missed),
    ]


_HEAD = "'make olddefconfig' did not keep {} options that the configurations ask for:"
_TAIL = (
    "Give the options that they depend on in a configuration of kernel_build_config, or, where the value that they got"
    " is good enough, the line with it in a last one."
)


def _merged(configs: Iterable[Configuration], whole: bool | None = None) -> str:
    return "\n".join(config.text for config in configs if whole in (None, config.whole))


def _asked(configs: Iterable[Configuration], whole: bool) -> dict[str, tuple[str, str]]:
    """Values by option, with the configuration's name; the last line counts."""
    return {
        name: (value, config.name)
        for config in configs
        if config.whole == whole
        for name, value in kconfig.options(config.text).items()
    }


def _other(asked: Mapping[str, tuple[str, str]], values: Values) -> Iterator[Lost]:
    for name, (wanted, config) in asked.items():
        value = values.get(name, UNSET)
        if value != wanted:
            yield Lost(name, config, wanted, value)


def _weaker(asked: Mapping[str, tuple[str, str]], values: Values) -> Iterator[Lost]:
    """Those with less than asked.

    More than that is what something else selects.
    """
    for lost in _other(asked, values):
        if lost.wanted != UNSET and (lost.wanted, lost.value) != ("m", "y"):
            yield lost


def _line(lost: Lost, values: Values, found: Mapping[str, Definition]) -> str:
    why = kconfig.reason(lost.option, lost.wanted, values, found.get(lost.option))
    wanted, value = (_words(lost.option, one) for one in (lost.wanted, lost.value))
    return f"  {wanted} (of {lost.config}) became {value}: {why}"


def _words(option: str, value: str) -> str:
    return f"'# CONFIG_{option} is not set'" if value == UNSET else f"CONFIG_{option}={value}"


def _note(what: str, options: Iterable[str]) -> list[str]:
    names = sorted(options)
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    return [f"{what} {len(names)} options of a whole configuration: {shown}"] if names else []
