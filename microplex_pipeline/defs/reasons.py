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
    step : the step that ran it.
    name : the check's name.
    message : what was measured, what is allowed, what to do.
    warning : whether it is only a warning: the partition may still be used.
    """

    step: str
    name: str
    message: str
    warning: bool


def failed_checks(events: Sequence[dg.DagsterEvent]) -> list[FailedCheck]:
    """Return the checks that failed, in the order in which they ran."""
    return [
        FailedCheck(
            event.step_key or "",
            check.check_name,
            check.description or "no reason was given",
            check.severity == dg.AssetCheckSeverity.WARN,
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
    if failure.error and failure.error.cls_name == "DagsterAssetCheckFailedError":
        return "a blocking check failed"
    cause = failure.error.cause or failure.error if failure.error else None
    return cause.message.strip() if cause else "no reason was given"


def reasons(events: Sequence[dg.DagsterEvent]) -> list[tuple[str, str]]:
    """Return a run's failed steps, then its failed non-blocking checks, each with the reason.

    Warnings are left out. If a run failed before any step began, no step is named.
    """
    checks = {check.step: check for check in failed_checks(events)}
    failed = {}
    for event in (e for e in events if e.is_step_failure):
        step = event.step_key or ""
        why = checks[step].message if step in checks else reason_of(event)
        failed[step] = why
    failed |= {step: check.message for step, check in checks.items() if not check.warning}
    if failed:
        return list(failed.items())
    return [("", e.message or "no reason was given") for e in events if e.is_job_failure]
