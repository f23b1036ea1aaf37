"""Steps of the story: command lines, and what matters of answers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from ..progress import LabError
from .fleet import Fleet

Shows = Callable[[str], str]
"""From all output of a command to the part that is shown."""


class Steps:
    """Numbered steps: title, what one would type, the answer."""

    def __init__(self, fleet: Fleet, log: Path) -> None:
        self.fleet, self.log, self.number = fleet, log, 0

    def playbook(self, title: str, *words: str, shows: Shows, fails: bool = False) -> None:
        """Run a playbook of the collection; ``words`` begin with its name."""
        self.step(title, "ansible-playbook", f"kvmfleet.sriov.{words[0]}", *words[1:], shows=shows, fails=fails)

    def step(self, title: str, program: str, *words: str, shows: Shows, fails: bool = False) -> None:
        """Run a command line, and show a part of its output.

        Raises LabError where it does not end as it should, or has nothing to show.
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
        if (done.returncode != 0) is not fails or not part:
            raise LabError(f"step {self.number} did not end as it should (all of it: {self.log}):\n{output[-2000:]}")
        print("\n".join(f"   | {line}" for line in part.splitlines()))
        print(f"   {time.monotonic() - begin:.1f} s", flush=True)


def task(name: str) -> Shows:
    """What a task has shown, at its last run."""
    pattern = re.compile(rf"^TASK \[[^\n]*{re.escape(name)}\] \**\n(.*?)\n(?=^TASK |^PLAY |^NO MORE)", re.M | re.S)

    def shows(output: str) -> str:
        lines = [line for text in pattern.findall(output)[-1:] for line in text.splitlines()]
        return "\n".join(line for line in lines if line.strip() and not line.startswith(("---", "+++", "@@")))

    return shows


def recap(output: str) -> str:
    """The recap, and the notes of hosts."""
    notes = re.findall(r"'PF .*?'\n", output, re.S)
    counts = re.findall(r"^(hv\d) +: (ok=\d+ +changed=\d+)", output, re.M)
    return "\n".join([*(f"{name}: {text}" for name, text in counts), *(" ".join(note.split()) for note in notes)])


def refusal(output: str) -> str:
    """The error of the first task that failed."""
    found = re.search(r"^\[ERROR\]: (.*?)\n(?:Origin:|\n)", output, re.M | re.S)
    return "" if found is None else found.group(1)


def predicted(output: str) -> str:
    """Batches, and what each host's update would cost."""
    return "\n".join(dict.fromkeys(re.findall(r"(?:batch \d+: hv|hv\d: outage of)[^'\"\n]*", output)))


def timeline(output: str) -> str:
    """Batches and results of a live update, and the first host's timeline."""
    found = task("Show where it is, and the timeline")(output).split("=>", 1)
    return "\n".join(_of_first(yaml.safe_load(found[1])["msg"])) if len(found) == 2 else ""


def _of_first(lines: list[str]) -> Iterator[str]:
    """All lines but the details of the second host and later ones."""
    first = True
    for line in lines:
        first = line.startswith("hv1:") or (first and not line.startswith("hv"))
        if first or not line.startswith(" "):
            yield line
