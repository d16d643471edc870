"""Why steps and runs failed, in the words meant for a person."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData


def reason_of(failure: StepFailureData) -> str:
    """Return the message that was meant for a person, else the error's own."""
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    cause = failure.error.cause or failure.error if failure.error else None
    return cause.message.strip() if cause else "no reason was given"


def reasons(events: Sequence[dg.DagsterEvent]) -> list[tuple[str, str]]:
    """Return a failed run's failed steps, and why each; no step's name where none had begun."""
    failed = [
        (e.step_key or "", reason_of(e.step_failure_data)) for e in events if e.is_step_failure
    ]
    if failed:
        return failed
    return [("", e.message or "no reason was given") for e in events if e.is_job_failure]
