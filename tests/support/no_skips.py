"""In continuous integration a skipped test is a failed one: what it needs is installed there.

A plugin of pytest, in use through ``conftest.py`` wherever the variable ``CI`` or ``NO_SKIPS``
holds something.
"""

from __future__ import annotations

import os

import pytest


def _no_skips() -> bool:
    return bool(os.environ.get("CI") or os.environ.get("NO_SKIPS"))


def _skipped(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return [f"{r.nodeid}: {_reason(r)}" for r in reports]


def _reason(report: pytest.CollectReport | pytest.TestReport) -> str:
    told = report.longrepr
    return str(told[2] if isinstance(told, tuple) else told)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    passed = session.exitstatus == pytest.ExitCode.OK
    if passed and _no_skips() and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    skipped = _skipped(config) if _no_skips() else []
    if skipped:
        terminalreporter.section("skipped, which fails where CI is set")
        for line in skipped:
            terminalreporter.line(line)
