"""Checks of partitions; a blocking check's result is stored with the version, limits and code it had."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import dagster as dg

from microplex_pipeline.defs.code_versions import CHECKS, code_version
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import partition_of, state_years
from microplex_pipeline.warehouse.provenance import CheckResult

_LIMITS: dict[str, Sequence[str]] = {}  # parameters that each blocking check reads, by its name


@dataclass(frozen=True)
class StateYearCheck:
    """A check of an asset partitioned by state and year.

    Attributes
    ----------
    ask : gives the result; its parameters are assets of the same partition, and resources.
    asset : the asset checked.
    blocking : whether a failure stops the assets that depend on it.
    beside : other assets whose same partition it needs.
    """

    ask: Callable[..., dg.AssetCheckResult]
    asset: dg.AssetsDefinition
    blocking: bool
    beside: Sequence[str]

    @property
    def name(self) -> str:
        """The function's name."""
        return self.ask.__name__

    @property
    def spec(self) -> dg.AssetCheckSpec:
        """What Dagster shows of it."""
        return dg.AssetCheckSpec(
            self.name,
            asset=self.asset.key,
            description=inspect.getdoc(self.ask),
            additional_deps=self.beside,
            blocking=self.blocking,
            partitions_def=state_years,
        )


def state_year_check(
    asset: dg.AssetsDefinition,
    *,
    blocking: bool = False,
    limits: Sequence[str] = (),
    beside: Sequence[str] = (),
) -> Callable[[Callable[..., dg.AssetCheckResult]], StateYearCheck]:
    """Return a decorator that makes a function a check of an asset partitioned by state and year.

    A blocking check's result is stored with the version that was checked, the limits in force and the
    version of the checks' code, so that the check counts as not yet run if one of them changes.

    Parameters
    ----------
    asset, blocking, beside : see `StateYearCheck`.
    limits : names of the parameters in `checks` that it reads.
    """

    def decorated(ask: Callable[..., dg.AssetCheckResult]) -> StateYearCheck:
        if blocking:
            _LIMITS[ask.__name__] = limits
        return StateYearCheck(ask, asset, blocking, beside)

    return decorated


def check_steps(checks: Sequence[StateYearCheck]) -> list[dg.AssetChecksDefinition]:
    """Return one step per asset that runs its checks, so that its rows are loaded once.

    Parameters
    ----------
    checks : those of an asset stand together.
    """
    return [
        _step(asset, list(of_asset))
        for asset, of_asset in groupby(checks, lambda check: check.asset.key.path[-1])
    ]


def _step(asset: str, checks: Sequence[StateYearCheck]) -> dg.AssetChecksDefinition:
    code = code_version(CHECKS)  # of what this process imported, which is what runs
    takes = {c.name: inspect.signature(c.ask).parameters for c in checks}
    parameters = {name: p for taken in takes.values() for name, p in taken.items()}

    def asked(**inputs: Any) -> Iterator[dg.AssetCheckResult]:
        context = dg.AssetCheckExecutionContext.get()
        warehouse = context.resources.io_manager
        warehouse.end_loading()
        partition = partition_of(context)
        selected = {key.name for key in context.selected_asset_check_keys}
        for check in (c for c in checks if c.name in selected):
            result = check.ask(**{name: inputs[name] for name in takes[check.name]})
            if check.blocking:
                version = warehouse.loaded_versions(asset)[partition]
                limits = inputs.get("parameters", Parameters())
                # a blocking check may also warn, which blocks nothing
                passed = bool(result.passed) or result.severity == dg.AssetCheckSeverity.WARN
                question = asked_of(check.name, version, limits, code)
                warehouse.store_check(asset, partition, check.name, CheckResult(question, passed))
            yield result._replace(asset_key=check.asset.key, check_name=check.name)

    # Dagster loads what the signature names
    signature = inspect.Signature(list(parameters.values()))
    asked.__signature__ = signature  # type: ignore[attr-defined]
    asked.__annotations__ = {name: p.annotation for name, p in parameters.items()}
    inputs = {asset, *(other for check in checks for other in check.beside)} & set(parameters)
    return dg.multi_asset_check(
        name=f"checks_of_{asset}",
        specs=[check.spec for check in checks],
        can_subset=True,
        ins={name: dg.AssetKey(name) for name in sorted(inputs)},
    )(asked)


def asked_of(check: str, version: str, parameters: Parameters, code: str) -> Mapping[str, Any]:
    """Return what a blocking check is run with: the version checked, the limits and the checks' code."""
    limits = parameters.checks.model_dump(mode="json")
    return {
        "version": version,
        "limits": {name: limits[name] for name in _LIMITS[check]},
        "code": code,
    }
