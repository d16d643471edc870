"""Sensors that start runs: on changed targets, new and changed surveys, and newly built states."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping

import dagster as dg

from microplex_pipeline.defs.arrivals import take_in_survey
from microplex_pipeline.defs.assets import SUMMARY
from microplex_pipeline.defs.assets.observed_files import contents
from microplex_pipeline.defs.coverage import STATES
from microplex_pipeline.defs.failure_sensors import FAILURE_SENSORS
from microplex_pipeline.defs.input_files import INPUT_FILES, missing_files
from microplex_pipeline.defs.jobs import build_prior, ingest, recalibrate
from microplex_pipeline.defs.partitions import multi_key
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.provenance import Place, Stored, stored_versions, version_of
from microplex_pipeline.warehouse.reading import stored_partitions

MINUTE = 60
DATA_VERSION = "dagster/data_version"
CHANGES = "changes"  # key of the cursor: how often the survey files changed
BUILT = "calibration.calibrated_population"
Versions = dict[str, dict[str, str]]  # by kind of files, then by state or year


@dg.sensor(
    job=recalibrate,
    minimum_interval_seconds=MINUTE,
    name="targets_changed",
    description="Recalibrates built states whose rows in the target files changed; survey, models and "
    "synthetic records stay unchanged.",
)
def targets_changed(
    context: dg.SensorEvaluationContext,
    data: dg.ResourceParam[DataFolder],
    settings: dg.ResourceParam[Settings],
) -> dg.SensorResult | dg.SkipReason:
    """Compare the files with those that each built partition was made from.

    The record is stored with the rows. Changes made while the sensor is off are therefore noticed, and a
    file that is restored before anything was built starts no run.
    """
    if not settings.warehouse.exists():
        return dg.SkipReason("there is no warehouse yet, so there is nothing to recalibrate")
    now = _versions(data, ["target_files", "county_files"])
    if isinstance(now, dg.SkipReason):
        return now
    built = stored_partitions(settings.warehouse).get(BUILT, set())
    changed = _changed(
        stored_versions(settings.warehouse),
        [("targets", "target_files"), ("county_weights", "county_files")],
        lambda kind, of: now[kind][str(of.state)],
    )
    requests = [
        dg.RunRequest(run_key=f"{of.key}|{key}", partition_key=multi_key(str(of.state), of.year))
        for of, key in sorted(changed.items())
        if of in built
    ]
    return _result(context, now, requests, "no state's targets changed")


@dg.sensor(
    job=take_in_survey,
    minimum_interval_seconds=MINUTE,
    name="survey_arrived",
    description="Imports a Parquet file dropped into the incoming folder: verifies it and stores it by "
    "year, or refuses it and writes the reason beside it.",
)
def survey_arrived(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request the import of files that have not changed since the last tick."""
    now = {}
    for file in sorted(settings.incoming.glob("*.parquet")):
        if file.is_file():  # neither a folder nor a broken link
            about = file.stat()
            now[file.name] = f"{about.st_size}|{about.st_mtime_ns}"
    before = json.loads(context.cursor) if context.cursor else {}
    context.update_cursor(json.dumps(now))
    still = [name for name, state in now.items() if before.get(name) == state]
    for name in still:
        yield dg.RunRequest(
            run_key=f"{name}|{now[name]}",
            run_config={"ops": {"store_by_year": {"config": {"name": name}}}},
        )
    if not still:
        yield dg.SkipReason("the incoming folder holds no complete Parquet file")


@dg.sensor(
    jobs=[ingest, build_prior],
    minimum_interval_seconds=MINUTE,
    name="survey_changed",
    description="Reacts to a new edition of the survey: ingests all states of a newly covered year, and "
    "rebuilds partitions made from an older edition, the nation first, then the states built before.",
)
def survey_changed(
    context: dg.SensorEvaluationContext,
    data: dg.ResourceParam[DataFolder],
    settings: dg.ResourceParam[Settings],
) -> dg.SensorResult | dg.SkipReason:
    """Compare the survey's files with those that partitions were made from, and with the last tick's.

    The cursor shows which years an edition newly covers. Observed data versions could not: Dagster stores
    them before it stores the runs requested, so a daemon killed in between would lose the runs.
    """
    now = _versions(data, ["survey_files", "survey_schema"])
    if isinstance(now, dg.SkipReason):
        return now
    changed = _changed(
        stored_versions(settings.warehouse),
        [("raw_survey", "survey_files"), ("raw_survey", "survey_schema")],
        lambda kind, of: now[kind].get(str(of.year)) or now[kind][""],
    )
    built = stored_partitions(settings.warehouse).get(BUILT, set())
    requests = list(_rebuilds({of: key for of, key in changed.items() if of in built}))
    before = json.loads(context.cursor) if context.cursor else now
    seen = before["survey_files"]
    # appended to run keys, so that a file reverted to earlier contents still triggers runs
    now[CHANGES] = {"": str(int(before.get(CHANGES, {"": 0})[""]) + (seen != now["survey_files"]))}
    for year, version in now["survey_files"].items():
        if version != seen.get(year) and int(year) in data.survey_years:
            requests += [
                dg.RunRequest(
                    job_name=ingest.name,
                    run_key=f"{state}|{year}|{version}|{now[CHANGES]['']}",
                    partition_key=multi_key(state, year),
                )
                for state in STATES
                if (state, int(year)) not in built
            ]
    return _result(context, now, requests, "the survey's files and schema have not changed")


def _rebuilds(changed: Mapping[Partition, str]) -> Iterator[dg.RunRequest]:
    """Request the national models of the years concerned; the states named in the tags follow them."""
    for year in sorted({of.year for of in changed}):
        of_year = {str(of.state): key for of, key in sorted(changed.items()) if of.year == year}
        rebuild = version_of(of_year)
        yield dg.RunRequest(
            job_name=build_prior.name,
            run_key=f"{year}|{rebuild}",
            partition_key=str(year),
            tags={"microplex/rebuild": rebuild, "microplex/states": " ".join(of_year)},
        )


def _versions(data: DataFolder, kinds: Iterable[str]) -> Versions | dg.SkipReason:
    """Return versions of files by kind and state or year ("" if neither), or a missing file's skip reason."""
    found: Versions = {}
    for kind in kinds:
        by_part = contents(INPUT_FILES[kind], data)
        if missing := sorted({f for digests in by_part.values() for f in missing_files(digests)}):
            return dg.SkipReason(f"{missing[0]} is missing from the data folder: put it back")
        found[kind] = {of or "": version_of(digests) for of, digests in by_part.items()}
    return found


def _changed(
    stored: Mapping[Place, Stored],
    reads: Iterable[tuple[str, str]],
    version_now: Callable[[str, Partition], str],
) -> dict[Partition, str]:
    """Return the partitions whose files changed, each with a key for its run request.

    The key names the run that stored the partition and the present files. Requested twice, it starts one
    run; after that run, a return to earlier files gives a new key and starts another run.

    Parameters
    ----------
    reads : pairs of an asset and a kind of files that it reads.
    version_now : function of a kind and a partition that returns the version of the present files.
    """
    found: dict[Partition, str] = {}
    for name, kind in reads:
        for (asset, partition), of in stored.items():
            now = version_now(kind, partition) if asset == name else None
            if now is not None and version_of(of.made_from["files"][kind]) != now:
                found[partition] = f"{found.get(partition, '')}{of.run}|{now}"
    return found


def _result(
    context: dg.SensorEvaluationContext,
    now: Versions,
    requests: list[dg.RunRequest],
    nothing: str,
) -> dg.SensorResult:
    """Return the runs requested, and observations of the files that changed since the last tick."""
    before = json.loads(context.cursor) if context.cursor else {}
    events = [
        dg.AssetObservation(kind, partition=of or None, tags={DATA_VERSION: version})
        for kind, versions in now.items()
        if kind != CHANGES
        for of, version in versions.items()
        if before.get(kind, {}).get(of) != version
    ]
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else dg.SkipReason(nothing),
        cursor=json.dumps(now),
        asset_events=events,
    )


nation_follows_its_states = dg.AutomationConditionSensorDefinition(
    "nation_follows_its_states",
    target=dg.AssetSelection.assets(*SUMMARY),
    description="Builds a year's page once the last of its 51 states is built, and again whenever one "
    "of them is rebuilt.",
)

SENSORS = [
    targets_changed,
    survey_arrived,
    survey_changed,
    nation_follows_its_states,
    *FAILURE_SENSORS,
]
