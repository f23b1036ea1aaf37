"""Steps of the story: command lines, and what matters of their output."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

from ..output import Shows
from ..progress import LabError
from .expected import Expected
from .fleet import Fleet


class Steps:
    """Numbered steps: title, what one would type, the answer."""

    def __init__(self, fleet: Fleet, log: Path) -> None:
        self.fleet, self.log, self.number = fleet, log, 0

    def playbook(self, title: str, *words: str, shows: Shows, expects: Sequence[Expected], fails: bool = False) -> None:
        """Run a playbook of the collection; ``words`` begin with its name."""
        name = f"kvmfleet.sriov.{words[0]}"
        self.step(title, "ansible-playbook", name, *words[1:], shows=shows, expects=expects, fails=fails)

    def step(
        self, title: str, program: str, *words: str, shows: Shows, expects: Sequence[Expected], fails: bool = False
    ) -> None:
        """Run a command line, and show a part of its output.

        Raises LabError where it does not end as expected, or has nothing to show.
        """
        self.number += 1
        quoted = [f"'{word}'" if re.search(r"[^\w./=:@-]", word) else word for word in words]
        typed = " ".join([program, "-i", "inventory.yml", *quoted])
        print(f"\n{self.number}. {title}\n   $ {typed}", flush=True)
        begin = time.monotonic()
        done = self.fleet.run(program, *words)
        output = done.stdout + done.stderr
        with self.log.open("a") as file:
            file.write(f"$ {typed}\n{output}\n")
        part = shows(output).strip("\n")
        print("\n".join(f"   | {line}" for line in part.splitlines()))
        wrong = [] if (done.returncode != 0) is fails else [f"status {done.returncode}"]
        wrong += filter(None, [one.differs(part) for one in expects]) if part else ["it has nothing to show"]
        if wrong:
            why = "; ".join(wrong)
            raise LabError(
                f"step {self.number} did not end as expected: {why} (all of it: {self.log}):\n{output[-2000:]}"
            )
        print(f"   {time.monotonic() - begin:.1f} s", flush=True)
