# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The harness of conformance cases, on real kernels and fake trees.

The cases state what a kernel's SR-IOV files must do. A case is a function `(Pf) -> None` marked with `@case(...)`; it
fails by raising `FailedError` (through `Pf`'s checks or `require`) and skips by raising `SkippedError` with a reason.
`run_cases` gives one `Row` per case and PF. This file imports nothing of the engine: it takes any object with the
methods of `Sysfs` and an exception that carries ``errno``.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from types import ModuleType
from typing import Any, Protocol

ANY = ("vf-id", "vf-id-narrow", "hw-numvfs", "stock")
FULL = ("vf-id",)
DEVICES = "/sys/bus/pci/devices"


class Files(Protocol):
    """The methods of `plugins/module_utils/_system/sysfs.py` that cases use."""

    root: str

    def exists(self, path: str) -> bool: ...
    def read(self, path: str) -> str: ...
    def write(self, path: str, value: str) -> None: ...
    def names(self, path: str) -> list[str]: ...
    def link(self, path: str) -> str | None: ...


class FailedError(Exception):
    """A failed case: the kernel did something else."""


class SkippedError(Exception):
    """A skipped case; the reason is mandatory."""


@dataclass(frozen=True)
class Case:
    """A case, with the `interfaces` that it describes.

    The PF must have at least `vfs`, and the kernel `words` on its command line.
    """

    name: str
    run: Callable[[Pf], None]
    interfaces: tuple[str, ...]
    vfs: int
    real_only: bool
    words: str = ""


@dataclass(frozen=True)
class Row:
    """The result of one case on one PF: pass, fail or skip.

    `reason` is empty for a pass only.
    """

    name: str
    kernel: str
    interface: str
    pf: str
    driver: str
    result: str
    reason: str
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Pf:
    """A PF under test; ``path`` is its sysfs folder.

    ``others`` are the addresses of further PFs that a case may use.
    """

    files: Files
    address: str
    real: bool = False
    others: tuple[str, ...] = ()
    undo: list[Callable[[], None]] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"{DEVICES}/{self.address}"

    @property
    def total(self) -> int:
        return int(self.read("sriov_totalvfs"))

    @property
    def driver(self) -> str:
        return self.files.link(f"{self.path}/driver") or ""

    @property
    def interface(self) -> str:
        """The kernel interface, by files alone.

        It is detected apart from the engine's `detect`, which is checked against it.
        """
        has = {
            name: self.files.exists(f"{self.path}/{name}")
            for name in ("sriov_remove_vf_id", "sriov_scan_vf_id", "sriov_hw_numvfs")
        }
        if has["sriov_remove_vf_id"]:
            return "vf-id"
        if has["sriov_scan_vf_id"]:
            return "vf-id-narrow"
        return "hw-numvfs" if has["sriov_hw_numvfs"] else "stock"

    @property
    def config(self) -> str:
        """The real path of its `config` file."""
        return f"{self.files.root.rstrip('/')}{self.path}/config"

    @property
    def ids(self) -> str:
        """`VENDOR:DEVICE` in hex, as kernel parameters take it."""
        return ":".join(self.read(name)[2:] for name in ("vendor", "device"))

    def booted_with(self, words: str) -> bool:
        """Whether the kernel's command line has all the words, exactly."""
        return set(self.filled(words).split()) <= set(self.files.read("/proc/cmdline").split())

    def filled(self, words: str) -> str:
        """Words of a command line with ``{ids}`` filled in.

        They are the ids of all PFs under test.
        """
        every = {Pf(self.files, address).ids for address in (self.address, *self.others)}
        return words.replace("{ids}", ";".join(sorted(every)))

    def read(self, name: str) -> str:
        return self.files.read(f"{self.path}/{name}")

    def write(self, name: str, value: object) -> int:
        """Write once; return 0 or the errno."""
        return errno_of(lambda: self.files.write(f"{self.path}/{name}", str(value)))

    def ok(self, name: str, value: object) -> None:
        """Write, and fail when the kernel refuses."""
        self.refused(name, value, 0)

    def refused(self, name: str, value: object, *expected: int) -> None:
        """Write, and require one of the ``expected`` answers.

        0 is success.
        """
        found = self.write(name, value)
        shown = str(value) if len(str(value)) < 60 else str(value)[:57] + "..."
        require(
            found in expected,
            f"write '{shown}' to {name}: {errname(found)}, expected "
            f"{' or '.join(errname(number) for number in expected)}",
        )

    def links(self) -> set[int]:
        """Ids of present VFs, by the PF's virtfn links.

        They are the stock kernel's own account.
        """
        return {int(name[6:]) for name in self.files.names(self.path) if name.startswith("virtfn")}

    def listed(self) -> set[int]:
        """Ids that `sriov_scan_vf_id` reads back."""
        return expand(self.read("sriov_scan_vf_id"))

    def vf(self, number: int) -> str:
        """The address of VF ``number``, present or not.

        Offset and stride are read each time, as they follow NumVFs.
        """
        return next(self.addresses((number,)))

    def addresses(self, numbers: Iterable[int]) -> Iterator[str]:
        """The addresses of several VFs."""
        domain, bus, slot = self.address.split(":")
        device, function = slot.split(".")
        first = (int(bus, 16) << 8 | int(device, 16) << 3 | int(function, 16)) + int(self.read("sriov_offset"))
        stride = int(self.read("sriov_stride"))
        for routing in (first + stride * number for number in numbers):
            yield f"{domain}:{routing >> 8:02x}:{(routing >> 3) & 31:02x}.{routing & 7}"

    def is_state(self, enabled: int, present: Iterable[int]) -> None:
        """Require ``enabled`` VFs, and exactly ``present`` ids, by every account."""
        wanted, number = set(present), self.read("sriov_numvfs")
        require(number == str(enabled), f"sriov_numvfs is {number}, not {enabled}")
        there = set(self.files.names(DEVICES))
        found = {
            "virtfn links": self.links(),
            "VFs at their addresses": {
                vf_id for vf_id, address in enumerate(self.addresses(range(enabled))) if address in there
            },
        }
        if self.interface == "vf-id":
            found["ids of sriov_scan_vf_id"] = self.listed()
        for account, ids in found.items():
            require(ids == wanted, f"{account}: {shown(ids)}, not {shown(wanted)}")

    def reset(self) -> None:
        """Disable SR-IOV, whatever was enabled."""
        if self.files.exists(f"{self.path}/sriov_numvfs") and self.read("sriov_numvfs") != "0":
            self.ok("sriov_numvfs", 0)


def case(
    *, interfaces: tuple[str, ...] = FULL, vfs: int = 2, real_only: bool = False, words: str = ""
) -> Callable[..., Any]:
    """Mark a function as a case.

    Its name is the function's without `case_`, its docstring says what must hold.
    """

    def mark(run: Callable[[Pf], None]) -> Callable[[Pf], None]:
        name = run.__name__.replace("case_", "", 1)
        run.conformance = Case(name, run, interfaces, vfs, real_only, words)  # type: ignore[attr-defined]  # functions carry their case
        return run

    return mark


def collect(modules: Iterable[ModuleType]) -> list[Case]:
    """The cases of modules, in the order of their definition.

    A name used twice is an error.
    """
    found = [
        value.conformance
        for module in modules
        for value in vars(module).values()
        if hasattr(value, "conformance") and value.__module__ == module.__name__
    ]
    names = [one.name for one in found]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise ValueError(f"case names used twice: {', '.join(double)}")
    return found


def run_cases(pf: Pf, cases: Iterable[Case], kernel: str, *, watch: Callable[[], str] = str) -> list[Row]:
    """Run cases on one PF, each from SR-IOV off.

    Autoprobe is off, too. ``watch`` returns a complaint of the kernel log.
    """
    return [run_case(pf, one, kernel, watch) for one in cases]


def run_case(pf: Pf, one: Case, kernel: str, watch: Callable[[], str]) -> Row:
    def attempt() -> None:
        applies(pf, one.interfaces, one.vfs)
        if one.real_only and not pf.real:
            raise SkippedError("only a real kernel can show this")
        if one.words and not pf.booted_with(one.words):
            raise SkippedError(f"the kernel was not booted with {pf.filled(one.words)}")
        _attempt(pf, one)

    return judge(pf, one.name, kernel, attempt, watch)


def judge(pf: Pf, name: str, kernel: str, attempt: Callable[[], None], watch: Callable[[], str]) -> Row:
    """Run a case's function and return the row of its result."""
    interface, driver, start = pf.interface, pf.driver, time.monotonic()
    result, reason = "pass", ""
    try:
        attempt()
        complaint = watch()
        require(not complaint, f"kernel log: {complaint}")
    except SkippedError as skip:
        result, reason = ("skip", str(skip)) if str(skip).strip() else ("fail", "skipped without a reason")
    except Exception as error:  # every surprise in a case is a failed case
        result, reason = "fail", str(error) if isinstance(error, FailedError) else f"{type(error).__name__}: {error}"
    return Row(name, kernel, interface, pf.address, driver, result, reason, round(time.monotonic() - start, 2))


def applies(pf: Pf, interfaces: tuple[str, ...], vfs: int) -> None:
    """Skip what describes other interfaces, or needs more VFs."""
    if pf.interface not in interfaces:
        raise SkippedError(f"describes {', '.join(interfaces)}; this PF has {pf.interface}")
    if pf.total < vfs:
        raise SkippedError(f"needs {vfs} VFs; this PF has {pf.total}")


def _attempt(pf: Pf, one: Case) -> None:
    pf.reset()
    pf.ok("sriov_drivers_autoprobe", 0)
    try:
        one.run(pf)
    finally:
        while pf.undo:
            pf.undo.pop()()
        pf.reset()


def shown(ids: set[int]) -> str:
    """Ids in a message, shortened.

    Thousands of them are shown by their first ones and their number.
    """
    few = sorted(ids)[:20]
    return str(few) if len(few) == len(ids) else f"{few} and {len(ids) - len(few)} more"


def require(truth: bool, otherwise: str) -> None:
    if not truth:
        raise FailedError(otherwise)


def errno_of(call: Callable[[], None]) -> int:
    """The errno of the exception that ``call`` raised, or 0.

    It is an `OSError` or the engine's `KernelError`.
    """
    try:
        call()
    except Exception as error:
        number = getattr(error, "errno", None)
        if not isinstance(number, int):
            raise
        return number
    return 0


def together(*calls: Callable[[], None], seconds: float = 60) -> list[int]:
    """Run ``calls`` in threads, started at once; return their errnos.

    0 is success. One that hangs is a failure.
    """
    gate, found = threading.Barrier(len(calls)), [-1] * len(calls)

    def run(index: int) -> None:
        gate.wait()
        found[index] = errno_of(calls[index])

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    require(not any(thread.is_alive() for thread in threads), f"a call has not come back after {seconds} s")
    require(-1 not in found, "a call failed without an errno")
    return found


def wait_for(truth: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Poll until ``truth``; fail after ``seconds``, naming ``what``."""
    end = time.monotonic() + seconds
    while not truth():
        require(time.monotonic() < end, f"after {seconds} s still not: {what}")
        time.sleep(0.02)


def errname(number: int) -> str:
    return "success" if number == 0 else errno.errorcode.get(number, str(number))


def expand(text: str) -> set[int]:
    """Ids of a list as the kernel prints it: `0-3,200`.

    An empty text is none (lib/vsprintf.c, bitmap_list_string).
    """
    ids: set[int] = set()
    for part in text.strip().split(",") if text.strip() else ():
        first, _, last = part.partition("-")
        ids |= set(range(int(first), int(last or first) + 1))
    return ids
