"""Findings about one object, gathered while it is evaluated."""

from __future__ import annotations

from collections.abc import Iterable

from contour.dag.verdict import Finding, Verdict


class Report:
    """Errors and warnings in the order in which they were found."""

    __slots__ = ("_errors", "_warnings")

    def __init__(self) -> None:
        self._errors: list[Finding] = []
        self._warnings: list[Finding] = []

    def error(self, kind: str, reason: str, message: str) -> None:
        self._errors.append(Finding(kind, reason, message))

    def add(self, finding: Finding) -> None:
        self._errors.append(finding)

    def extend(self, findings: Iterable[Finding]) -> None:
        self._errors.extend(findings)

    def warn(self, findings: tuple[Finding, ...]) -> None:
        self._warnings.extend(findings)

    @property
    def verdict(self) -> Verdict:
        return Verdict(tuple(self._errors), tuple(self._warnings))
