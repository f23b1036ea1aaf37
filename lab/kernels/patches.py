"""Patches of a series that are known to build.

By the contents of all patches up to each.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from . import record
from .base import CONFIGS, DEFAULT, SERIES, Base

EACH_PATCH = "each patch"
"""Name of the entry of `make kernel-bisect`.

Beside the flavours of a base.
"""


def bisect_configs(base: Base = DEFAULT) -> list[Path]:
    """Configuration files for building each patch.

    The first file of the base's configuration, which stays as it is, and the drivers that the series touches.
    """
    return [CONFIGS / base.configs[0], CONFIGS / "drivers.config"]


def digests(base: Base = DEFAULT) -> dict[str, str]:
    """Each patch of a base's series in order, with a checksum.

    Of the configurations and of all patches up to it.
    """
    folder, found = SERIES / base.series, hashlib.sha256(record.contents(bisect_configs(base)).encode())
    sums = {}
    for name in (folder / "series").read_text().split():
        found.update(f"{name}\0".encode() + (folder / name).read_bytes())
        sums[name] = found.hexdigest()[:12]
    return sums


def unbuilt(base: Base = DEFAULT) -> list[str]:
    """Patches that are not known to build.

    All from the first one on that was changed since.
    """
    known, now = record.load().get(base.name, {}).get(EACH_PATCH, {}).get("patches", {}), digests(base)
    return [name for name, digest in now.items() if known.get(name) != digest]


def keep(release: str, built: dict[str, str], base: Base = DEFAULT) -> None:
    """Record that the series builds after each patch.

    ``built``: from `digests` before the run.
    """
    with record.changed() as known:
        known.setdefault(base.name, {})[EACH_PATCH] = {"release": release, "day": record.today(), "patches": built}


def say(base: Base) -> bool:
    """Print the line of a base; whether any of it is stale."""
    new, entry = unbuilt(base), record.load().get(base.name, {}).get(EACH_PATCH)
    what = f"{base.name} {EACH_PATCH}"
    if new:
        why = f"changed since, from {new[0]} on" if entry else "never run"
        print(
            f"evidence: {base.name} {EACH_PATCH}: {len(new)} of {len(digests(base))}: {why}; run `make kernel-bisect`"
        )
    elif entry:
        state = f"{len(entry['patches'])} passed on {entry['day']}; not run here, `make kernel-bisect` does"
        print(f"evidence: {what}: {state}")
    return bool(new)
