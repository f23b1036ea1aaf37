"""Flavours: builds of a kernel base, each booted by hosts or VMs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .base import BASES, Base


@dataclass(frozen=True)
class Kind:
    """A kind of flavour, made for each base.

    ``patched``: with the base's series; ``fragments``: over its configuration; ``recorded``: kept as evidence.
    ``bare``: over the first file of the base's configuration alone, without the files for what hosts show beyond a
    hypervisor; ``own``: over ``NAME-BASE.config`` instead, as small as can be; of the first base only.
    """

    name: str
    patched: bool
    localversion: str
    fragments: tuple[str, ...] = ()
    recorded: bool = True
    bare: bool = False
    own: bool = False

    def configs(self, base: Base) -> tuple[str, ...]:
        """Configuration files for a base, in the order of merging."""
        if self.own:
            return (f"{self.name}-{base.name}.config", *self.fragments)
        return (base.configs[:1] if self.bare else base.configs) + self.fragments


KINDS = (
    Kind("stock", False, "-kvmfleet-stock"),
    Kind("series", True, "-kvmfleet"),
    Kind("debug", True, "-kvmfleet-debug", ("debug.config",), bare=True),
    Kind("kcsan", True, "-kvmfleet-kcsan", ("kcsan.config",), recorded=False),
    Kind("guest", False, "-kvmfleet-guest", recorded=False, own=True),
    Kind("demo", True, "-kvmfleet-demo", recorded=False, own=True),
)


@dataclass(frozen=True)
class Flavour:
    """A flavour of one base.

    ``localversion``: the end of the release string; ``configs``: files of kernel/configs/, merged in order.
    """

    name: str
    base: Base
    series: str
    localversion: str
    configs: tuple[str, ...]
    recorded: bool = True


def of(bases: Iterable[Base]) -> dict[str, Flavour]:
    """Make all flavours of these bases, by name.

    A KIND for the first base, KIND-BASE for others; no patched ones where there is no series.
    """
    made: dict[str, Flavour] = {}
    for number, base in enumerate(bases):
        for kind in KINDS:
            if (kind.patched and not base.series) or (kind.own and number):
                continue
            name = f"{kind.name}-{base.name}" if number else kind.name
            series = base.series if kind.patched else ""
            made[name] = Flavour(name, base, series, kind.localversion, kind.configs(base), kind.recorded)
    return made


FLAVOURS = of(BASES.values())
STANDARD = ("stock", "series")
"""Flavours for hosts of the demo, the tests and the measurements."""
GUEST = "guest"
"""Flavour for the VMs on them."""
DEMO = "demo"
"""Flavour for the demo's hosts, and the VMs on them alike."""
RECORDED = tuple(name for name, flavour in FLAVOURS.items() if flavour.recorded and flavour.base.series)
"""Flavours with entries in kernel/EVIDENCE.json."""
