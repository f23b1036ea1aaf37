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
    """Batches, the outage of each VM, and who refuses."""
    lines = [*_message(output, "Show what this run would do"), *_message(output, "Show why no host is touched")]
    return "\n".join(lines)


def timeline(output: str) -> str:
    """Batches and results of a live update, and the first host's timeline."""
    return "\n".join(_of_first(_message(output, "Show where it is, and the timeline")))


def _message(output: str, name: str) -> list[str]:
    """Lines that a task has said, none where it was skipped."""
    found = task(name)(output).split("=>", 1)
    if len(found) != 2:
        return []
    said = yaml.safe_load(found[1])["msg"]
    return [said] if isinstance(said, str) else list(said)


def _of_first(lines: list[str]) -> Iterator[str]:
    """All lines but the details of the second host and later ones."""
    first = True
    for line in lines:
        first = line.startswith("hv1:") or (first and not line.startswith("hv"))
        if first or not line.startswith(" "):
            yield line
