# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo of a failed plan, last step first, with a fresh reading."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from .._holders import holders
from .._model import eswitch
from .._model.actions import Action, Command, SetEswitch, SetLink, SetName, Write
from .._model.errors import BlockedError, PropertyError, SriovError
from .._model.properties import VfProperties
from .._model.settings import PfSettings
from .._model.state import PfState
from .._model.vf_device import VfDevice
from .._model.vf_ids import describe
from .._plan import vf_actions
from .._plan.clauses import joined
from .._plan.plan import Plan
from .._plan.steps import Step, pairs
from .._readers.pfs import read_pfs
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import interface_link, reading
from .errno_hints import meaning
from .execute import act
from .reading import Extent

_LEFT = (
    "the PF is left as it is, because whatever else reads or writes there would wait too; once the kernel has gone on, "
    "declare it again"
)


@dataclass(frozen=True)
class Applying:
    """Access to the host, and the conditions of an application.

    ``careful``: writes have a deadline. ``alone``: no other run writes to PFs.
    """

    sysfs: Sysfs
    run: Run
    force: bool
    careful: bool = False
    alone: bool = False
    clock: Callable[[], float] = field(default=time.monotonic)


class UndoneError(SriovError):
    """Failure after which the steps before it were undone.

    ``clean``: all of the undo went well.
    """

    def __init__(self, message: str, cause: SriovError, clean: bool) -> None:
        super().__init__(message)
        self.cause, self.clean = cause, clean


def named(error: Exception) -> SriovError:
    """``error`` as `SriovError`; an unexpected one with its type."""
    return error if isinstance(error, SriovError) else SriovError(f"unexpected {type(error).__name__}: {error}")


def undone(host: Applying, plan: Plan, finished: int, cause: SriovError) -> UndoneError:
    """Undo the finished steps, last first, and report the result.

    A failed undo does not stop the others. Where something is blocked in the kernel, the PF is left alone: its other
    files, even those that are only read, wait for the same lock.
    """
    failed = plan.steps[finished] if finished < len(plan.steps) else None
    at = f"at step '{failed.what}' {_ids(failed)}".rstrip() + ": " if failed else ""
    if isinstance(cause, BlockedError):
        return UndoneError(f"{at}{cause}{_waited_for(host, plan)}; {_LEFT}", cause, False)
    refused = frozenset(cause.properties) if isinstance(cause, PropertyError) else frozenset()
    down = interface_link.hint(host.sysfs, plan.current, cause)
    actions: list[Action] = [*_half(failed, refused), *_renewed(host, plan.current, failed)] if failed else []
    for step in reversed(plan.steps[:finished]):
        actions += step.undo
    stuck = _undo(host, plan.current, actions, refused)
    after = f"undoing it failed too: {joined(stuck)}" if stuck else "the PF is back in its previous state"
    return UndoneError(f"{at}{cause}{meaning(cause)}{down}; {after}", cause, not stuck)


def _half(failed: Step, refused: frozenset[str]) -> Iterator[Action]:
    """Undo of a command that may have been carried out half.

    Property by property when the kernel has ``refused`` some.
    """
    for action in failed.undo if isinstance(failed.action, (Command, SetEswitch, SetLink, SetName)) else ():
        if refused and isinstance(action, Command):
            yield from (Command(argv, action.vf, ((given, argv),)) for given, argv in action.parts)
        else:
            yield action


def _renewed(host: Applying, current: PfState, failed: Step) -> Iterator[Action]:
    """Actions that restore VFs added anew after a refused removal.

    The kernel asks a PF's driver when the VFs that ``failed`` was to take away are gone. When it refuses, the kernel
    adds them again (the series, patch 25), without override, bound by autoprobe at most.
    """
    if not failed.disrupts or not isinstance(failed.action, Write) or failed.what == "unbind":
        return
    try:
        now = read_pfs(host.sysfs, [current.address])[current.address].vfs
    except SriovError:
        return  # the last reading tells
    for vf_id in sorted(failed.disrupts & set(current.vfs) & set(now)):
        was, after = current.vfs[vf_id], now[vf_id]
        if was.driver_override != after.driver_override or (failed.what == "disable" and was.driver != after.driver):
            yield from vf_actions.restore(current, vf_id)


def _is_refused(action: Action, refused: frozenset[str]) -> bool:
    """Whether an action sets only properties that the kernel has ``refused``.

    The fresh reading shows what they are.
    """
    return (
        isinstance(action, Command)
        and bool(action.parts)
        and all(refused & set(given.to_dict()) for given, _argv in action.parts)
    )


def _undo(host: Applying, current: PfState, actions: Iterable[Action], refused: frozenset[str]) -> list[str]:
    """Carry out the undo; return its errors."""
    errors: list[str] = []
    for action in actions:
        if errors and isinstance(action, SetEswitch):
            errors.append(f"eswitch_mode was not set to {action.mode}: VFs may be bound")
            continue
        try:
            act(host.sysfs, host.run, current.address, action, host.careful)
        except BlockedError as error:
            return [*errors, f"{error}; {_LEFT}"]
        except Exception as error:  # as above
            errors += [] if refused and _is_refused(action, refused) else [str(named(error))]
    return errors + _not_restored(host, current)


def _waited_for(host: Applying, plan: Plan) -> str:
    """Holders of the VFs that a blocked step takes away, in words.

    None of the PF's own files is read for it.
    """
    asked = {plan.current.address: (plan.current, plan.disrupts)}
    try:
        found = holders.read_holders(host.sysfs, host.run, asked, lenient=True)
    except SriovError:
        return ""  # that it is blocked matters more
    users = joined(f"VF {vf_id} by {holder}" for (_pf, vf_id), holder in sorted(found.items()))
    return f" (in use: {users})" if users else ""


def _ids(step: Step) -> str:
    return f"of VF {step.to_dict()['vfs']}" if step.ids else ""


def _not_restored(host: Applying, current: PfState) -> list[str]:
    """Differences between the previous state and a fresh reading."""
    try:
        now = reading.again(host.sysfs, host.run, current.address, Extent.of_state(current))
    except Exception as error:  # as above
        return [str(named(error))]
    return [_difference(thing, was, now) for thing, was, now in _differences(current, now) if was != now]


def _difference(thing: str, was: object, now: object) -> str:
    """A difference in words; of several values those that differ."""
    if not isinstance(was, (PfSettings, VfProperties, VfDevice)):
        return f"{thing} was {_word(was)}, is {_word(now)}"
    before, after = was.to_dict(), now.to_dict() if isinstance(now, type(was)) else {}
    sides = [{k: v for k, v in one.items() if other.get(k) != v} for one, other in ((before, after), (after, before))]
    return f"{thing} was {pairs(sides[0])}, is {pairs(sides[1])}"


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)


def _differences(current: PfState, now: PfState) -> Iterator[tuple[str, object, object]]:
    yield "hardware_vfs", current.enabled, now.enabled
    yield "present_vfs", describe(current.present), describe(now.present)
    yield "drivers_autoprobe", current.autoprobe, now.autoprobe
    yield "settings", current.settings, now.settings
    for vf_id in sorted(set(current.vfs) & set(now.vfs)):
        was, after = current.vfs[vf_id], now.vfs[vf_id]
        yield f"driver of VF {vf_id}", was.driver, after.driver
        yield f"driver_override of VF {vf_id}", was.driver_override, after.driver_override
    lost = eswitch.kept_by_nobody(current.driver, current.settings.eswitch_mode)
    for vf_id, properties in sorted(current.properties.items()):
        given = now.properties.get(vf_id, VfProperties())
        yield f"properties of VF {vf_id}", properties.without(lost), given.without(lost)
    for vf_id, device in sorted(current.devices.items()):
        yield f"device of VF {vf_id}", device, now.devices.get(vf_id)
