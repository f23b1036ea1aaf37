"""The monitor (QMP) of a running host's QEMU."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from qemu.qmp import QMPClient

from ..paths import sockets
from .host import Running


def execute(target: Running, command: str, **arguments: object) -> object:
    """Execute a monitor command; returns its answer (docs/interop/qemu-qmp-ref).

    Raises QMPError when QEMU refuses it or cannot be reached.
    """

    async def run() -> object:
        client = QMPClient(target.host.name)
        await client.connect(str(sockets(target.fleet) / f"{target.host.name}.qmp"))
        try:
            return await client.execute(command, arguments)
        finally:
            await client.disconnect()

    return asyncio.run(run())


@contextlib.contextmanager
def traced(target: Running, event: str) -> Iterator[None]:
    """Trace every such event of QEMU into the host's qemu.log.

    QEMU docs/devel/tracing, backend log.
    """
    execute(target, "trace-event-set-state", name=event, enable=True)
    try:
        yield
    finally:
        execute(target, "trace-event-set-state", name=event, enable=False)
