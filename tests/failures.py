"""Failures are told as they happen, and noted so that they can be run once more by themselves.

Real servers on a busy machine are late at times: `make test` runs what failed again in a process of
its own, with servers of its own. What passes only then is named there.
"""

import re
from pathlib import Path

import pytest

FLEET = "fleet"
"""The tests that share the fleet of one process."""
KUBERNETES = "kubernetes"
"""Those that share a cluster."""
CHECKOV = "checkov"
"""Those that share what checkov found."""

_GROUPS = re.compile(f"@({FLEET}|{KUBERNETES}|{CHECKOV})$")
"""What `--dist loadgroup` adds to their names."""


class Failures:
    """For the process that reports; those that run tests for it tell it of them."""

    def __init__(self, noted: Path) -> None:
        self._noted = noted
        self._names: dict[str, None] = {}
        self._reporter: pytest.TerminalReporter | None = None
        self._crashed = False

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        self._noted.unlink(missing_ok=True)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.failed:
            return
        self._names[_GROUPS.sub("", report.nodeid)] = None
        if not self._crashed:
            self._noted.parent.mkdir(parents=True, exist_ok=True)
            self._noted.write_text("".join(f"{name}\n" for name in self._names))
        if self._reporter is not None:  # A run that is cut off has told what failed until then.
            self._reporter.write_line(f"\nfailed in {report.when}: {report.nodeid}", red=True)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, error: object | None) -> None:
        """Take a process that died for a failure of the run: not all of its tests were run."""
        if error:
            self._crashed = True
            self._noted.unlink(missing_ok=True)
