"""The keys of `make bench`: steps to measure, figures to report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lab.machine import host
from lab.progress import LabError

from . import config_reads, kexec_stage, unchanged_host, vf_stage

Samples = dict[str, list[dict[str, float]]]
"""By side, a sample for each round."""


@dataclass(frozen=True)
class Step:
    """A part of a boot: ``measure`` times a host that is up.

    ``after`` is the step that it goes on from.
    """

    sides: tuple[str, ...]
    measure: Callable[[host.Running, str], dict[str, float]]
    after: str = ""


STEPS: Mapping[str, Step] = {
    "vf_stage": Step(vf_stage.SIDES, vf_stage.measure),
    "kexec": Step(kexec_stage.SIDES, kexec_stage.measure, after="vf_stage"),
    "config_reads": Step(kexec_stage.SIDES, config_reads.measure),
    "unchanged_host": Step(("series",), lambda target, _side: unchanged_host.measure(target)),
}
"""In the order of a boot."""


@dataclass(frozen=True)
class Key:
    """A key of the results, and the ``step`` that measures it.

    ``results`` takes the samples and the number of PFs; ``figures`` names those that are reported at the end.
    """

    step: str
    results: Callable[[Samples, int], dict[str, Any]]
    figures: tuple[str, ...]


KEYS: Mapping[str, Key] = {
    "vf_stage": Key(
        "vf_stage",
        lambda samples, _pfs: vf_stage.results(samples),
        ("stock_over_series", "stock_used_over_series", "series_over_floor"),
    ),
    "kexec_enumeration": Key(
        "kexec",
        lambda samples, pfs: dict(kexec_stage.results(samples, pfs)["kexec_enumeration"]),
        ("stock_per_pf_s", "series_per_pf_s"),
    ),
    "vf_stage_kept": Key(
        "kexec",
        lambda samples, pfs: dict(kexec_stage.results(samples, pfs)["vf_stage_kept"]),
        ("stock_over_series",),
    ),
    "config_reads_per_vf": Key(
        "config_reads",
        lambda samples, _pfs: dict(config_reads.results(samples)["config_reads_per_vf"]),
        ("stock", "series"),
    ),
    "unchanged_host": Key(
        "unchanged_host",
        lambda samples, _pfs: dict(unchanged_host.results(samples)["unchanged_host"]),
        ("ratio", "drivers_ratio"),
    ),
}


def chosen(only: str) -> list[str]:
    """The key named ``only``, or all keys without a name.

    Raises `LabError` that lists them for another name.
    """
    if only and only not in KEYS:
        raise LabError(f"there is no key '{only}'; keys: {', '.join(KEYS)}")
    return [only] if only else list(KEYS)


def steps_of(keys: Collection[str]) -> list[str]:
    """The steps that the keys need, in the order of a boot.

    Those that they go on from are among them.
    """
    needed = {KEYS[key].step for key in keys}
    needed |= {STEPS[name].after for name in needed}
    return [name for name in STEPS if name in needed]


def sides_of(keys: Collection[str]) -> set[str]:
    """The sides on which the keys' own steps are measured."""
    return {side for key in keys for side in STEPS[KEYS[key].step].sides}
