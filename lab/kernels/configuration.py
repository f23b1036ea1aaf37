"""Kernel configurations: whether a built one keeps all of the fragments."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..progress import LabError

LINE = re.compile(r"^(?:# (?P<unset>CONFIG_\w+) is not set|(?P<name>CONFIG_\w+)=(?P<value>.*))$", re.MULTILINE)
UNSET = "n"


def options(text: str) -> dict[str, str]:
    """Options and their values, ``n`` for one that is not set.

    Of two lines about one option the last counts.
    """
    return {one["unset"] or one["name"]: UNSET if one["unset"] else one["value"] for one in LINE.finditer(text)}


def lost(fragments: Iterable[str], made: str) -> list[str]:
    """Options that ``make olddefconfig`` did not keep, as ``NAME=VALUE``.

    Of the fragments, merged in order.
    """
    have = options(made)
    wanted = options("\n".join(fragments))
    return [f"{name}={value}" for name, value in wanted.items() if have.get(name, UNSET) != value]


def hold(fragments: Iterable[str], made: str, flavour: str) -> None:
    """Require that the configuration keeps every line of the fragments.

    Raises LabError naming the lost options.
    """
    gone = lost(fragments, made)
    if gone:
        raise LabError(
            f"the {flavour} kernel was not built as kernel/configs/ asks: {', '.join(gone)} did not hold;"
            " an option that it depends on is missing, or one that is set selects it"
        )
