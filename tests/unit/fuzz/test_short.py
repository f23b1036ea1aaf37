# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short form of `make fuzz`: a few inputs of each kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from tests.fuzz import run, targets


@pytest.mark.parametrize("target", targets.TARGETS, ids=lambda one: one.name)
def test_no_input_leads_to_a_traceback_or_an_unnamed_error(target: targets.Target) -> None:
    run.fuzz(target, 40)


def _unnamed(_value: object) -> None:
    raise BadInputError("it is wrong")


def _broken(value: object) -> None:
    raise KeyError(value)


@pytest.mark.parametrize(("call", "kind"), [(_unnamed, AssertionError), (_broken, KeyError)])
def test_a_reader_that_fails_is_noticed(call: Callable[..., object], kind: type[Exception]) -> None:
    target = targets.TARGETS[0]._replace(call=call)
    with pytest.raises(kind):
        run.fuzz(target, 5)
