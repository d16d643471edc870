"""Why steps, checks and runs failed, as messages for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg


@dataclass(frozen=True)
class FailedCheck:
    """A check that failed.

    Attributes
    ----------
    asset : the asset that was checked.
    name : the check's name.
    message : what was measured, what is allowed, what to do.
    warning : whether it is only a warning: the partition may still be used.
    blocking : whether it stopped the assets that depend on it.
    """

    asset: str
    name: str
    message: str
    warning: bool
    blocking: bool

    @property
    def place(self) -> str:
        """Asset and check, as messages and the list of failures name them."""
        return f"{self.asset}_{self.name}"


def failed_checks(events: Sequence[dg.DagsterEvent]) -> list[FailedCheck]:
    """Return the checks that failed, in the order in which they ran."""
    return [
        FailedCheck(
            check.asset_key.path[-1],
            check.check_name,
            check.description or "no reason was given",
            warning := check.severity == dg.AssetCheckSeverity.WARN,
            bool(check.blocking) and not warning,
        )
        for event in events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
        and not (check := event.asset_check_evaluation_data).passed
    ]


def reason_of(event: dg.DagsterEvent) -> str:
    """Return the message that a failed step wrote for people, or else that of the underlying error."""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    if _failed_by_checks(event):
        return "a blocking check failed"
    cause = failure.error.cause or failure.error if failure.error else None
    return cause.message.strip() if cause else "no reason was given"


def reasons(events: Sequence[dg.DagsterEvent]) -> list[tuple[str, str]]:
    """Return what failed in a run and why: blocking checks, then steps, then other checks.

    Warnings are left out. If a run failed before any step began, no step is named.
    """
    checks = failed_checks(events)
    failed = [(check.place, check.message) for check in checks if check.blocking]
    for event in (e for e in events if e.is_step_failure):
        if not (failed and _failed_by_checks(event)):
            failed.append((event.step_key or "", reason_of(event)))
    failed += [
        (check.place, check.message)
        for check in checks
        if not check.blocking and not check.warning
    ]
    return failed or [("", e.message or "no reason was given") for e in events if e.is_job_failure]


def _failed_by_checks(event: dg.DagsterEvent) -> bool:
    error = event.step_failure_data.error
    return bool(error and error.cls_name == "DagsterAssetCheckFailedError")
