# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cached reads of a host: each file and program is read once.

All readers see the same answer. Programs whose failure may pass are asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .._model.errors import SriovError, ToolError
from .process import refuse
from .sysfs import Sysfs

if TYPE_CHECKING:
    from .patience import Patience
    from .process import Run

_Answer = TypeVar("_Answer")


class _Answers:
    """Cached answers by question; an error is an answer."""

    def __init__(self) -> None:
        self.known: dict[object, tuple[Any, SriovError | None]] = {}

    def of(self, question: object, ask: Callable[[], _Answer]) -> _Answer:
        if question not in self.known:
            try:
                self.known[question] = (ask(), None)
            except SriovError as error:
                self.known[question] = (None, error)
        answer, failure = self.known[question]
        if failure is not None:
            raise failure
        found: _Answer = answer
        return found


class ReadOnce(Sysfs):
    """The files that ``sysfs`` reads, cached; writing raises `SriovError`."""

    def __init__(self, sysfs: Sysfs) -> None:
        self._sysfs, self._answers = sysfs, _Answers()
        super().__init__(sysfs.root)

    def exists(self, path: str) -> bool:
        return self._answers.of(("exists", path), lambda: self._sysfs.exists(path))

    def read(self, path: str) -> str:
        return self._answers.of(("read", path), lambda: self._sysfs.read(path))

    def read_all(self, paths: Sequence[str]) -> list[str]:
        """Read several files; those not cached are read together."""
        new = [path for path in paths if ("read", path) not in self._answers.known]
        for path, text in zip(new, self._sysfs.read_all(new) if new else ()):
            self._answers.known["read", path] = (text, None)
        texts = []
        for path in paths:
            text, failure = self._answers.known["read", path]
            if failure is not None:
                raise failure
            texts.append(text)
        return texts

    def read_bytes(self, path: str, limit: int) -> bytes:
        return self._answers.of(("read_bytes", path, limit), lambda: self._sysfs.read_bytes(path, limit))

    def names(self, path: str) -> list[str]:
        return self._answers.of(("names", path), lambda: self._sysfs.names(path))

    def listings(self, paths: Iterable[str]) -> dict[str, list[str]]:
        folders = tuple(paths)
        return self._answers.of(("listings", *folders), lambda: self._sysfs.listings(folders))

    def entries(self, path: str) -> dict[str, bool]:
        return self._answers.of(("entries", path), lambda: self._sysfs.entries(path))

    def device_number(self, path: str) -> str | None:
        return self._answers.of(("device_number", path), lambda: self._sysfs.device_number(path))

    def regular(self, path: str) -> tuple[int, int] | None:
        return self._answers.of(("regular", path), lambda: self._sysfs.regular(path))

    def target(self, path: str) -> str | None:
        return self._answers.of(("target", path), lambda: self._sysfs.target(path))

    def locked(self, path: str) -> bool:
        return self._answers.of(("locked", path), lambda: self._sysfs.locked(path))

    def claimed(self, path: str) -> bool:
        return self._answers.of(("claimed", path), lambda: self._sysfs.claimed(path))

    def interface_ioctl(self, request: int, netdev: str, data: bytes) -> bytes:
        question = ("interface_ioctl", request, netdev, data)
        return self._answers.of(question, lambda: self._sysfs.interface_ioctl(request, netdev, data))

    def write(self, path: str, value: str) -> None:
        raise SriovError(f"'{value}' is not written to {path}: a cached read writes nothing")

    def write_within(self, path: str, value: str, owner: str, seconds: float) -> None:
        self.write(path, value)


def once(run: Run) -> Run:
    """``run`` with cached answers, for programs that only show something."""
    answers = _Answers()

    def ask(argv: Sequence[str]) -> str:
        return answers.of(tuple(argv), lambda: run(argv))

    return ask


def patient(run: Run) -> Run:
    """``run``, which tries again what the kernel calls transient (`patience`)."""
    if run is refuse:
        return run
    found: list[Patience] = []

    def ask(argv: Sequence[str]) -> str:
        try:
            return run(argv)
        except ToolError as error:
            from .patience import Patience  # late: hardly any run meets one

            found[:] = found or [Patience()]
            return found[0].again(lambda: run(argv), error)

    return ask
