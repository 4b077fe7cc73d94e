"""Ports that fail on purpose: at a chosen point of a chosen namespace, once."""

import asyncio
import os
import re
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cells.types import Reserve
from controlplane.errors import rejected
from provisioning.ports import Incarnation
from provisioning.types import NamespaceView

NAMESPACE_ID = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9]{5,12}")
MID_CALL_SECONDS = 0.004


@dataclass(frozen=True)
class Faults:
    """Planned faults: a file per namespace, whose text is `port.method what when`.

    `what` is `kill` (SIGKILL of this process) or `reject` (an error nothing can help); `when` is
    `before`, `during` or `after` the call took effect. A fault strikes once: its file is renamed
    first, so that not even a SIGKILL makes it strike again.
    """

    folder: Path

    def plan(self, namespace: str, call: str, what: str, when: str) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / namespace).write_text(f"{call} {what} {when}")

    def planned(self) -> list[str]:
        return sorted(p.name for p in self.folder.iterdir() if not p.name.endswith(".struck"))

    def struck(self) -> list[str]:
        return sorted(
            p.name.removesuffix(".struck") for p in self.folder.iterdir() if p.suffix == ".struck"
        )

    def take(self, namespace: str, call: str) -> tuple[str, str] | None:
        planned = self.folder / namespace
        try:
            wanted, what, when = planned.read_text().split()
        except FileNotFoundError:
            return None
        if wanted != call:
            return None
        planned.rename(planned.with_name(f"{namespace}.struck"))
        return what, when


@dataclass(frozen=True)
class Deadly:
    """Stands in front of a port, and strikes where a fault is planned."""

    port: Any
    name: str
    zone: str
    faults: Faults

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self.port, method)

        async def deadly(*arguments: Any) -> Any:
            namespace = self._namespace(arguments)
            fault = namespace and self.faults.take(namespace, f"{self.name}.{method}")
            if not fault:
                return await call(*arguments)
            what, when = fault
            if when == "before":
                _strike(what)
            if when == "during":
                begun = asyncio.ensure_future(call(*arguments))
                await asyncio.sleep(MID_CALL_SECONDS)
                _strike(what)
                return await begun
            await call(*arguments)
            return _strike(what)

        return deadly

    def _namespace(self, arguments: tuple[Any, ...]) -> str | None:
        for argument in arguments:
            match argument:
                case Incarnation() | Reserve():
                    return argument.namespace
                case NamespaceView():
                    return argument.id
                case str() if argument.endswith(self.zone):
                    return argument.removesuffix(f".{self.zone}")
                case str() if NAMESPACE_ID.fullmatch(argument):
                    return argument
        return None


def _strike(what: str) -> None:
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise rejected("refused on purpose")
