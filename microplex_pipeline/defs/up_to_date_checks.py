"""Whether partitions are up to date, as checks that Dagster's UI shows.

Dagster does not show whether partitions by state and year are stale, and knows nothing of settings. These
checks give the same answer as `microplex status`. Anyone may run them, and a sensor keeps their results
current while the UI is open. The jobs of the chain do not run them.
"""

import json
from collections.abc import Mapping, Sequence

import dagster as dg

from microplex_pipeline.defs.assets import CHAIN, ERRORS, NATIONAL, SUMMARY
from microplex_pipeline.defs.out_of_date import Comparison
from microplex_pipeline.defs.partitions import partition_of
from microplex_pipeline.defs.resources import DataFolder, PresentSettings
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.provenance import stored_versions

NAME = "up_to_date"
MINUTE = 60
AT_ONCE = 500  # largest number of results that a tick reports


def out_of_date(reasons: Sequence[str]) -> str:
    """Return the check's message, given the reasons why a partition is out of date."""
    if not reasons:
        return "made from the present code, files, parameters and upstream partitions"
    return f"out of date because of: {', '.join(reasons)}. `microplex backfill` builds it again"


def _comparison(settings: Settings, data: DataFolder) -> Comparison:
    return Comparison(stored_versions(settings.warehouse), data, settings.parameters)


def _check(asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    name = asset.key.path[-1]

    @dg.asset_check(
        asset=asset.key,
        name=NAME,
        partitions_def=asset.partitions_def,
        description="Whether it was made from the present code, files, parameters and upstream partitions.",
    )
    def up_to_date(
        context: dg.AssetCheckExecutionContext,
        data: dg.ResourceParam[DataFolder],
        present_settings: dg.ResourceParam[PresentSettings],
    ) -> dg.AssetCheckResult:
        reasons = _comparison(present_settings.read(), data).reasons(name, partition_of(context))
        return dg.AssetCheckResult(
            passed=not reasons,
            severity=dg.AssetCheckSeverity.WARN,
            description=out_of_date(reasons),
        )

    return up_to_date


UP_TO_DATE = [_check(asset) for asset in (*NATIONAL, *CHAIN, *ERRORS, *SUMMARY)]


@dg.sensor(
    minimum_interval_seconds=MINUTE,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="out_of_date_shown",
    description="Updates every asset's check up_to_date: which partitions are out of date, and why.",
)
def out_of_date_shown(
    context: dg.SensorEvaluationContext,
    data: dg.ResourceParam[DataFolder],
    present_settings: dg.ResourceParam[PresentSettings],
) -> dg.SensorResult | dg.SkipReason:
    """Report the checks whose result changed since the last tick."""
    settings = present_settings.read()
    if not settings.warehouse.exists():
        return dg.SkipReason("nothing is built yet")
    comparison = _comparison(settings, data)
    names = {key.asset_key.path[-1] for check in UP_TO_DATE for key in check.check_keys}
    now = {
        f"{asset} {of.key}": reasons
        for asset, of in comparison.stored
        if asset in names and (reasons := comparison.reasons(asset, of))
    }
    before: Mapping[str, list[str]] = json.loads(context.cursor) if context.cursor else {}
    changed = sorted(p for p in {*now, *before} if now.get(p) != before.get(p))[:AT_ONCE]
    shown = {**before, **{place: now[place] for place in changed if place in now}}
    for place in changed:
        if place not in now:
            del shown[place]
    return dg.SensorResult(
        skip_reason=dg.SkipReason(
            f"{len(changed)} results changed, {len(now)} partitions of assets are out of date"
        ),
        cursor=json.dumps(shown),
        asset_events=[_evaluation(place, now.get(place, [])) for place in changed],
    )


def _evaluation(place: str, reasons: Sequence[str]) -> dg.AssetCheckEvaluation:
    asset, key = place.split(" ")
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(asset),
        check_name=NAME,
        passed=not reasons,
        severity=dg.AssetCheckSeverity.WARN,
        description=out_of_date(reasons),
        partition=Partition.parse(key).key,
    )
