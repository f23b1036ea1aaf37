# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which watchdog guards the jump into a new kernel. Pure.

It resets a host whose new kernel hangs, so that the firmware leads back. One that the new kernel cannot feed would
reset a host that is well.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .._model.errors import BadInputError
from .._model.update_deadlines import WATCHDOG_S
from .finding import Finding
from .options import Options
from .watchdog_facts import SOFTWARE, Watchdog

OFF, AUTO, REQUIRE = "off", "auto", "require"


@dataclass(frozen=True)
class Plan:
    """The watchdog that an update arms.

    ``identity`` and ``module`` are what it is known by in the new kernel."""

    name: str
    identity: str
    module: str
    timeout_s: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def parse(data: Mapping[str, Any], where: str) -> Plan | None:
    """Plan of a manifest, None for an empty one; raises `BadInputError`."""
    if not data:
        return None
    texts = [data.get(key) for key in ("name", "identity", "module")]
    number = data.get("timeout_s")
    good = set(data) == {"name", "identity", "module", "timeout_s"} and all(isinstance(text, str) for text in texts)
    if not good or isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 1 << 16:
        raise BadInputError(f"{where}: {str(data)[:200]} is no watchdog with name, identity, module and timeout_s")
    if not re.fullmatch(r"watchdog\d{1,4}", str(texts[0]), re.ASCII):
        raise BadInputError(f"{where}.name: '{str(texts[0])[:64]}' is no name of a watchdog")
    return Plan(str(texts[0]), str(texts[1]), str(texts[2]), number)


def needed_s(options: Options) -> int:
    """Shortest timeout that a boot of the new kernel cannot outlast."""
    return math.ceil(options.watchdog_boots * options.boot_s)


def choose(dogs: Sequence[Watchdog], available: Collection[str] | None, options: Options) -> Plan | None:
    """The watchdog to arm before the jump.

    None where there is none that could be, or others have theirs. ``available``: modules of the new kernel.
    """
    if options.watchdog == OFF or any(dog.active and not dog.stops for dog in dogs):
        return None
    for dog in dogs:
        if not dog.active and dog.module is not None and unusable(dog, available, options) is None:
            return Plan(dog.name, dog.identity, dog.module, _timeout_s(dog, options))
    return None


def _timeout_s(dog: Watchdog, options: Options) -> int:
    """Timeout to arm a watchdog with, in seconds, its pretimeout included."""
    most = int(min(WATCHDOG_S, dog.max_timeout_s or WATCHDOG_S))
    return max(needed_s(options) + int(dog.pretimeout_s), most)


def unusable(dog: Watchdog, available: Collection[str] | None, options: Options) -> tuple[str, str] | None:
    """(reason, fix) why a watchdog cannot guard the jump, or None."""
    need = needed_s(options) + int(dog.pretimeout_s)
    if dog.module == SOFTWARE:
        return "it is a timer of this kernel, and ends with it", "use a watchdog of the hardware"
    if options.orderly:
        return (
            "with orderly, systemd ends whoever feeds it",
            "set KExecWatchdogSec= and RuntimeWatchdogSec= in system.conf",
        )
    if dog.module is None:
        return "it is not known which module drives it", "set RuntimeWatchdogSec= in system.conf: then systemd has it"
    if dog.module.replace("-", "_") not in (available or ()):
        return f"the new kernel lacks its driver {dog.module}", "install or build that driver"
    if dog.stops:
        return f"{dog.module} stops it at the kexec", "boot this kernel with watchdog.stop_on_reboot=0"
    if dog.nowayout:
        return "nobody could stop it again (nowayout)", "set RuntimeWatchdogSec= in system.conf: then systemd has it"
    if 0 < dog.max_timeout_s < need:
        return (
            f"it waits {dog.max_timeout_s:g} s at most, and {need} s are needed",
            "lower boot_s to what was rehearsed",
        )
    return None


def check(dogs: Sequence[Watchdog], available: Collection[str] | None, options: Options) -> Iterator[Finding]:
    """Refusals: watchdogs that would reset a well host, or miss."""
    need = needed_s(options)
    for dog in dogs:
        if not dog.active or dog.stops:
            continue
        if dog.timeout_s - dog.pretimeout_s < need:
            yield Finding(
                "watchdog",
                f"{dog} fires after {dog.timeout_s:g} s, the boot takes {options.boot_s:g} s",
                f"set its timeout to at least {need + dog.pretimeout_s:g} s, or stop it for the update",
                (dog.name,),
            )
        module = dog.module if available is not None and dog.module not in options.allow_missing_modules else None
        if module is not None and module.replace("-", "_") not in (available or ()):
            yield Finding(
                "watchdog-unfed",
                f"{dog} of {dog.holder} goes on over the kexec, and the new kernel lacks its driver {module}: "
                "nobody could feed it",
                "stop it for the update, build the driver, or name it in allow_missing_modules",
                (dog.name,),
            )
    guarded = choose(dogs, available, options) or any(dog.active and not dog.stops for dog in dogs)
    if options.watchdog == REQUIRE and not guarded:
        found = "; ".join(_reasons(dogs, available, options)) or "there is none"
        every = tuple(dog.name for dog in dogs)
        problem = f"no watchdog can guard the jump: {found}"
        yield Finding("watchdog-required", problem, "or set options.watchdog: auto", every)


def warnings(dogs: Sequence[Watchdog], available: Collection[str] | None, options: Options) -> Iterator[Finding]:
    """Watchdogs of others, and those that cannot be used."""
    if options.watchdog == OFF:
        return
    for dog in dogs:
        if dog.active:
            what = "is stopped at the kexec and guards no jump" if dog.stops else "guards the jump"
            fix = (
                "boot this kernel with watchdog.stop_on_reboot=0 for that"
                if dog.stops
                else "see that its holder starts early"
            )
            yield Finding("watchdog-held", f"{dog} is left to {dog.holder}: it {what}", fix, (dog.name,))
    if (
        options.watchdog == AUTO
        and dogs
        and not any(dog.active for dog in dogs)
        and not choose(dogs, available, options)
    ):
        hard = [dog for dog in dogs if dog.module != SOFTWARE]
        if hard:
            found = "; ".join(_reasons(hard, available, options))
            yield Finding("watchdog-unused", f"no watchdog guards the jump: {found}", "see options.watchdog")


def _reasons(dogs: Sequence[Watchdog], available: Collection[str] | None, options: Options) -> list[str]:
    reasons = []
    for dog in dogs:
        found = unusable(dog, available, options)
        if dog.active:
            reasons.append(f"{dog} of {dog.holder} is stopped at the kexec, boot with watchdog.stop_on_reboot=0")
        elif found is not None:
            reasons.append(f"{dog}: {found[0]}, {found[1]}")
    return reasons
