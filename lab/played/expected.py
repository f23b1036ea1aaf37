"""What a step of the story must end with.

A step that is to fail may fail of anything: these hold that it was the host, the VM or the estimate that was expected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """Hosts or VMs that lines of a step's end name.

    ``pattern`` has one group, whose matches are ``values``, sorted.
    """

    what: str
    pattern: str
    values: tuple[str, ...]

    def differs(self, shown: str) -> str:
        """The difference of what is shown, empty where there is none."""
        found = tuple(sorted(re.findall(self.pattern, shown, re.M)))
        if found == self.values:
            return ""
        return f"{self.what}: {', '.join(found) or 'none'} instead of {', '.join(self.values) or 'none'}"


ALL = ("hv1", "hv2", "hv3")
REFUSED = Expected("hosts that refuse", r"^(hv\d): refused: ", ("hv3",))


def changes(*hosts: str) -> Expected:
    """Hosts at which a declaration changes something, or would."""
    return Expected("hosts that change", r"^(?:changed: \[(?=hv\d\])|(?=hv\d: ok=\d+ +changed=[1-9]))(\w+)", hosts)


IN_USE = Expected("VMs that use a VF which would go", r"\bVF \d of PF \S+ by VM (\w+), process \d+", ("web1",))
SHOWN = Expected("PFs without drift", r"^(\S+) +ens3f0 .* none$", ("0000:03:00.0",))
PREDICTED = (
    REFUSED,
    Expected("hosts with an expected outage", r"^ +(hv\d): outage of about [\d.]+ s expected", ("hv1", "hv2")),
    Expected(
        "VMs with an estimate", r"^ +VM (\w+): about [\d.]+ s of standing still, [\d.]+ s without", ("web1", "web1")
    ),
)
UPDATED = (
    REFUSED,
    Expected("hosts that were updated", r"^(hv\d): updated, ", ("hv1", "hv2")),
    Expected("VMs in the first timeline", r"^ +VM (\w+) +\|.* outage at least [\d.]+ s, resumed", ("web1",)),
)
