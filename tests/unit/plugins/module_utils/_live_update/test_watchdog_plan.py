# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which watchdog guards the jump, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import watchdog_plan
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.watchdog_facts import Watchdog
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.watchdog_plan import Plan

DOG = Watchdog("watchdog0", "i6300ESB timer", False, 30.0, max_timeout_s=2046.0, module="i6300esb")
HELD = replace(DOG, active=True, holder="systemd", timeout_s=60.0)
SOFT = replace(DOG, name="watchdog1", identity="Software Watchdog", module="softdog", stops=True)
MODULES = frozenset({"i6300esb", "softdog"})
REQUIRED = Options(watchdog="require")


def codes(
    dogs: list[Watchdog], options: Options, modules: frozenset[str] | None = MODULES
) -> tuple[list[str], list[str]]:
    """Codes of refusals and of warnings."""
    both = (watchdog_plan.check(dogs, modules, options), watchdog_plan.warnings(dogs, modules, options))
    return [item.code for item in both[0]], [item.code for item in both[1]]


def test_the_first_that_can_be_fed_is_armed() -> None:
    plan = watchdog_plan.choose([SOFT, DOG], MODULES, Options(boot_s=10.5))
    assert plan == Plan("watchdog0", "i6300ESB timer", "i6300esb", 120)
    assert codes([SOFT, DOG], REQUIRED) == ([], [])


@pytest.mark.parametrize(
    ("dog", "boot_s", "timeout_s"),
    [
        (DOG, 10.0, 120),  # assumed, never timed
        (DOG, 50.0, 200),
        (replace(DOG, pretimeout_s=5.0), 50.0, 205),
        (replace(DOG, max_timeout_s=60.0), 10.0, 60),
        (replace(DOG, max_timeout_s=0.0), 10.0, 120),  # as long as is asked for
    ],
)
def test_the_timeout_leaves_time_for_a_boot_that_was_never_timed(dog: Watchdog, boot_s: float, timeout_s: int) -> None:
    plan = watchdog_plan.choose([dog], MODULES, Options(boot_s=boot_s, watchdog_boots=4.0))
    assert plan is not None
    assert plan.timeout_s == timeout_s


@pytest.mark.parametrize(
    ("change", "options", "why"),
    [
        ({"module": None}, {}, "it is not known which module drives it"),
        ({"module": "sp5100_tco"}, {}, "the new kernel lacks its driver sp5100_tco"),
        ({"stops": True}, {}, "i6300esb stops it at the kexec, boot this kernel with watchdog.stop_on_reboot=0"),
        ({"nowayout": True}, {}, "nobody could stop it again (nowayout)"),
        ({"max_timeout_s": 29.0}, {}, "it waits 29 s at most, and 30 s are needed"),
        ({"max_timeout_s": 30.0, "pretimeout_s": 1.0}, {}, "it waits 30 s at most, and 31 s are needed"),
        ({}, {"orderly": True}, "with orderly, systemd ends whoever feeds it"),
        ({"module": "softdog"}, {}, "it is a timer of this kernel, and ends with it"),
    ],
)
def test_one_that_cannot_is_not(change: dict[str, Any], options: dict[str, Any], why: str) -> None:
    dog = replace(DOG, **change)
    assert watchdog_plan.choose([dog], MODULES, Options(**options)) is None
    (refused,) = watchdog_plan.check([dog], MODULES, Options(watchdog="require", **options))
    assert (refused.code, why in refused.problem) == ("watchdog-required", True)
    assert codes([dog], Options(**options)) == ([], [] if dog.module == "softdog" else ["watchdog-unused"])
    assert codes([dog], Options(watchdog="off", **options)) == ([], [])


def test_none_is_chosen_where_it_is_off_or_missing() -> None:
    assert watchdog_plan.choose([DOG], MODULES, Options(watchdog="off")) is None
    assert codes([], Options()) == ([], [])
    assert codes([], REQUIRED) == (["watchdog-required"], [])


@pytest.mark.parametrize(
    ("change", "options", "expected"),
    [
        ({}, Options(), ([], ["watchdog-held"])),
        ({}, REQUIRED, ([], ["watchdog-held"])),
        ({}, Options(watchdog="off"), ([], [])),
        ({"timeout_s": 29.0}, Options(), (["watchdog"], ["watchdog-held"])),
        ({"timeout_s": 31.0, "pretimeout_s": 2.0}, Options(), (["watchdog"], ["watchdog-held"])),
        ({"timeout_s": 29.0, "stops": True}, Options(), ([], ["watchdog-held"])),
        ({"stops": True}, REQUIRED, (["watchdog-required"], ["watchdog-held"])),
        ({"module": "hpwdt"}, Options(), (["watchdog-unfed"], ["watchdog-held"])),
        ({"module": "hpwdt", "stops": True}, Options(), ([], ["watchdog-held"])),
        ({"module": "hpwdt"}, Options(allow_missing_modules=("hpwdt",)), ([], ["watchdog-held"])),
    ],
)
def test_one_that_is_held_is_left_to_its_holder(
    change: dict[str, Any], options: Options, expected: tuple[list[str], list[str]]
) -> None:
    dog = replace(HELD, **change)
    assert watchdog_plan.choose([dog], MODULES, options) is None
    assert codes([dog], options) == expected
