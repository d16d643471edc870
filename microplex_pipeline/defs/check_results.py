"""Checks of partitions; a blocking check's result is stored with the version, limits and code it had."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import dagster as dg

from microplex_pipeline.defs.code_versions import CHECKS, code_version
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import partition_of, state_years
from microplex_pipeline.warehouse.provenance import CheckResult

_LIMITS: dict[str, Sequence[str]] = {}  # parameters that each blocking check reads, by its name


def state_year_check(
    asset: dg.AssetsDefinition,
    *,
    blocking: bool = False,
    limits: Sequence[str] = (),
    beside: Sequence[str] = (),
) -> Callable[..., Any]:
    """Return a decorator that makes a function a check of an asset partitioned by state and year.

    A blocking check's result is stored with the version that was checked, the limits in force and the
    version of the checks' code, so that the check counts as not yet run if one of them changes.

    Parameters
    ----------
    asset : the asset checked.
    blocking : whether a failure stops the assets that depend on it.
    limits : names of the parameters in `checks` that it reads.
    beside : other assets whose same partition it needs.
    """
    name = asset.key.path[-1]
    code = code_version(CHECKS)  # of what this process imported, which is what runs

    def decorated(check: Callable[..., dg.AssetCheckResult]) -> dg.AssetChecksDefinition:
        @wraps(check)
        def asked(*args: Any, **inputs: Any) -> dg.AssetCheckResult:
            context = dg.AssetCheckExecutionContext.get()
            warehouse = context.resources.io_manager
            warehouse.end_loading()
            result = check(*args, **inputs)
            if blocking:
                partition = partition_of(context)
                version = warehouse.loaded_versions(name)[partition]
                parameters = inputs.get("parameters", Parameters())
                question = asked_of(check.__name__, version, parameters, code)
                # a blocking check may also warn, which blocks nothing
                passed = bool(result.passed) or result.severity == dg.AssetCheckSeverity.WARN
                warehouse.store_check(
                    name, partition, check.__name__, CheckResult(question, passed)
                )
            return result

        if blocking:
            _LIMITS[check.__name__] = limits
        return dg.asset_check(
            asset=asset,
            additional_ins={other: dg.AssetIn() for other in beside},
            partitions_def=state_years,
            blocking=blocking,
        )(asked)

    return decorated


def asked_of(check: str, version: str, parameters: Parameters, code: str) -> Mapping[str, Any]:
    """Return what a blocking check is run with: the version checked, the limits and the checks' code."""
    limits = parameters.checks.model_dump(mode="json")
    return {
        "version": version,
        "limits": {name: limits[name] for name in _LIMITS[check]},
        "code": code,
    }
