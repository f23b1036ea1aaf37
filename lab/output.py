"""What matters of the output of ansible-playbook."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import yaml

Shows = Callable[[str], str]
"""From all output of a command to the part that is shown."""


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
