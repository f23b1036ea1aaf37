"""Kernel bases: sources, their series, and the hosts' configurations.

A source is a Debian package; the configuration is that of the lab's hosts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..paths import REPOSITORY
from ..progress import LabError

TABLE = Path(__file__).with_name("bases")
CONFIGS = REPOSITORY / "kernel" / "configs"
SERIES = REPOSITORY / "roles" / "kernel_build" / "files" / "series"
NONE = "-"


@dataclass(frozen=True)
class Base:
    """A kernel base, one row of the table ``bases``.

    ``oldest``: version of the source that the series was made for; ``series``: a folder of `SERIES`, or empty.
    """

    name: str
    source: str
    oldest: str
    series: str
    configs: tuple[str, ...]

    @property
    def archive(self) -> Path:
        """Path of the archive in the source package."""
        return Path("/usr/src") / f"{self.source}.tar.xz"

    @property
    def patches(self) -> Path:
        """The folder of the series; LabError for a base without one."""
        if not self.series:
            raise LabError(f"kernel base {self.name} has no series: give it one in {TABLE}")
        return SERIES / self.series


def read(table: str) -> dict[str, Base]:
    """Read the bases of a table, in its order.

    Raises LabError naming a row that is not one.
    """
    rows = [line.split() for line in table.splitlines() if line.strip() and not line.startswith("#")]
    for row in rows:
        if len(row) < 5:
            raise LabError(f"{TABLE}: row '{' '.join(row)}' lacks one of: name, source, oldest, series, configuration")
    return {
        name: Base(name, source, oldest, "" if series == NONE else series, tuple(configs))
        for name, source, oldest, series, *configs in rows
    }


BASES = read(TABLE.read_text())
DEFAULT = next(iter(BASES.values()))


def named(name: str) -> Base:
    """The base of that name; LabError with the known ones."""
    if name not in BASES:
        raise LabError(f"no kernel base '{name}' in {TABLE}; there are: {', '.join(BASES)}")
    return BASES[name]
