"""Terraform as a program: how it is started, followed, interrupted and asked."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path

from cells.infrastructure.failures import TerraformFailed
from cells.infrastructure.heard import Heard, Lines
from cells.infrastructure.hidden import Hidden
from cells.infrastructure.messages import Diagnostic
from cells.infrastructure.runs import Run
from cells.infrastructure.settings import InfrastructureSettings
from cells.life.ports import Progress

_LOOK_SECONDS = 0.2
_SHOWN_CHARACTERS = 1000

_PASSED = frozenset(
    {
        *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        *("TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR"),
    }
)
"""What Terraform gets of our environment: not our secrets, and nothing that changes its doing."""

_ALWAYS = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}


@dataclass(frozen=True)
class Program:
    """Terraform in one folder, with one cell's rights."""

    settings: InfrastructureSettings
    folder: Path
    environment: Mapping[str, str]
    """What it acts with: secrets."""

    @property
    def hidden(self) -> Hidden:
        return Hidden.of(self.environment)

    async def asked(self, *arguments: str) -> str:
        """Return what a short command says."""
        process = await asyncio.create_subprocess_exec(
            self.settings.program,
            *arguments,
            cwd=self.folder,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            said, errors = await process.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            await process.wait()
            raise
        if process.returncode != 0:
            told = self.hidden.in_text((errors or said).decode(errors="replace"))
            raise TerraformFailed(f"terraform {arguments[0]} failed: {_first_lines(told)}")
        return said.decode()

    async def run(self, operation: str, *arguments: str, progress: Progress) -> list[Diagnostic]:
        """Run what holds the state's lock, to its end; return the errors. None: it succeeded.

        When we are to end, it is asked to end, and killed if it does not.
        """
        run = await asyncio.to_thread(Run.begin, operation, self.folder)
        with run.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                self.settings.program,
                *(operation, "-json", "-input=false", "-lock-timeout=0s", *arguments),
                cwd=self.folder,
                env=run.marked(self._environment()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A signal for us is not one for it.
                start_new_session=True,
            )

        async def is_over() -> bool:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await process.wait()
            return process.returncode is not None

        try:
            heard = await self._followed(run, is_over, progress)
        finally:
            await process.wait()
        if process.returncode is not None and process.returncode < 0:
            heard.left(interrupted=False).note(self.folder)
            run.bury()
            return [*heard.errors, Diagnostic(f"it was killed (signal {-process.returncode})")]
        run.end()
        if process.returncode == 0:
            return []
        return heard.errors or [Diagnostic(f"it ended with {process.returncode} and said nothing")]

    async def follow(self, run: Run, progress: Progress) -> None:
        """Follow a run that somebody else has started, which may be over, to its end."""

        async def is_over() -> bool:
            if not await asyncio.to_thread(run.is_alive):
                return True
            await asyncio.sleep(_LOOK_SECONDS)
            return False

        heard = await self._followed(run, is_over, progress)
        heard.left(interrupted=False).note(self.folder)
        run.bury()

    async def _followed(
        self, run: Run, is_over: Callable[[], Awaitable[bool]], progress: Progress
    ) -> Heard:
        heard, lines = Heard(self.hidden), Lines(run.log)
        try:
            over = False
            while not over:
                over = await is_over()
                for line in lines.new():
                    told = heard.line(line)
                    if told:
                        await progress(told)
        except BaseException:
            # Whatever ends us ends it: it is not to go on behind our back.
            await _to_its_end(self._stop(run))
            for line in lines.new():
                heard.line(line)
            heard.left(interrupted=True).note(self.folder)
            run.bury()
            raise
        finally:
            lines.close()
        # Providers outlive a Terraform that was killed.
        await asyncio.to_thread(run.kill)
        return heard

    async def _stop(self, run: Run) -> None:
        await asyncio.to_thread(run.interrupt)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.interrupt_grace.total_seconds()):
                while await asyncio.to_thread(run.is_alive):  # noqa: ASYNC110 - not our child
                    await asyncio.sleep(_LOOK_SECONDS)
        await asyncio.to_thread(run.kill)

    def _environment(self) -> dict[str, str]:
        ours = {
            name: value
            for name, value in os.environ.items()
            if name in _PASSED or name.startswith("AWS_ENDPOINT_URL")
        }
        return {**ours, **self.environment, **_ALWAYS}


async def _to_its_end(work: Coroutine[None, None, None]) -> None:
    """Await it although we are cancelled, and cancelled again."""
    task = asyncio.create_task(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()


def _first_lines(text: str) -> str:
    lines = [line.strip(" │╷╵\t") for line in text.splitlines()]
    return " ".join(line for line in lines if line)[:_SHOWN_CHARACTERS]
