"""A PopulationSim folder: settings, controls, crosswalk, seed and control totals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.popsim.control_expressions import control_expression
from microplex_pipeline.calibration.popsim.settings import PopsimSettings, read_settings
from microplex_pipeline.data_files import read_table

SEED_TABLES = ("households", "persons")
CONTROL_COLUMNS = [
    "target",
    "geography",
    "seed_table",
    "importance",
    "control_field",
    "expression",
]


@dataclass(frozen=True)
class PopsimFolder:
    """What a folder asks for.

    Attributes
    ----------
    settings : of the folder.
    controls : target, geography, seed_table, importance, control_field and expression, a row per control.
    crosswalk : the areas of every level that lie in each other, as text, a row per smallest area.
    households, persons : the seed; persons may be None if no control counts them.
    incidence : (households, controls) what a household adds to each control, with the household's id.
    totals : by level, the control totals: id of the area, as text, and a column per control.
    """

    settings: PopsimSettings
    controls: pl.DataFrame
    crosswalk: pl.DataFrame
    households: pl.DataFrame
    persons: pl.DataFrame | None
    incidence: pl.DataFrame
    totals: dict[str, pl.DataFrame]


def read_popsim(folder: str | Path) -> PopsimFolder:
    """Read a PopulationSim folder, with the folders configs and data, as it is.

    Keys of settings.yaml that concern PopulationSim's own algorithm (steps, relaxation, integerizers) are
    not used.

    Parameters
    ----------
    folder : the folder.

    Raises
    ------
    CalibrationError, DataFileError
        If a file is missing or damaged; if a control names an unknown geography, table, column or area; or
        if its expression cannot be read. The message names file and control.
    """
    folder = Path(folder)
    settings = read_settings(folder)
    data = folder / settings.data_dir
    controls = _controls(folder / "configs" / settings.control_file_name, settings)
    crosswalk = _crosswalk(data, settings)
    households = _seed(data, settings, "households")
    listed = {table.tablename for table in settings.input_table_list}
    persons = _seed(data, settings, "persons") if "persons" in listed else None
    return PopsimFolder(
        settings,
        controls,
        crosswalk,
        households,
        persons,
        _incidence(controls, households, persons, settings.household_id_col),
        _totals(data, settings, controls, crosswalk),
    )


def _controls(path: Path, settings: PopsimSettings) -> pl.DataFrame:
    table = read_table(path, dict.fromkeys(CONTROL_COLUMNS, pl.String))
    table = table.filter(~pl.col("target").fill_null("").str.starts_with("#"))
    rows = table.select(CONTROL_COLUMNS).with_columns(pl.col(pl.String).str.strip_chars())
    checks = {
        "geography": (settings.geographies, "geographies of settings.yaml"),
        "seed_table": (SEED_TABLES, "seed tables"),
    }
    for column, (known, what) in checks.items():
        unknown = rows.filter(~pl.col(column).fill_null("").is_in(list(known)))
        if unknown.height:
            name, value = unknown.select("target", column).row(0)
            raise CalibrationError(
                f"{path.name}: control {name}: {column} {value!r} is none of the {what} "
                f"({', '.join(known)})"
            )
    importance = rows["importance"].cast(pl.Float64, strict=False)
    if (bad := rows.filter(~(importance.fill_null(-1.0) > 0))).height:
        raise CalibrationError(
            f"{path.name}: control {bad['target'][0]}: importance {bad['importance'][0]!r} is not a "
            "number above 0"
        )
    if (twice := rows.filter(pl.col("target").is_duplicated())).height:
        raise CalibrationError(f"{path.name}: control {twice['target'][0]} is there twice")
    lowest = settings.geographies[-1]
    if not rows.filter(target=settings.total_hh_control, geography=lowest).height:
        raise CalibrationError(
            f"{path.name}: there is no control {settings.total_hh_control} of {lowest}, which "
            "total_hh_control of settings.yaml names"
        )
    return rows.with_columns(importance)


def _crosswalk(data: Path, settings: PopsimSettings) -> pl.DataFrame:
    path = data / settings.table("geo_cross_walk").filename
    table = read_table(path, dict.fromkeys(settings.geographies, pl.String))
    areas = table.select(settings.geographies).unique(maintain_order=True)
    for below, above in zip(
        settings.geographies[:0:-1], settings.geographies[-2::-1], strict=True
    ):
        apart = areas.group_by(below).agg(pl.col(above).n_unique()).filter(pl.col(above) > 1)
        if apart.height:
            raise CalibrationError(
                f"{path.name}: {below} {apart[below].sort()[0]} lies in {apart[above][0]} areas of "
                f"{above}: each must lie in one"
            )
    return areas


def _seed(data: Path, settings: PopsimSettings, name: str) -> pl.DataFrame:
    """Return a table of the seed, its columns renamed and numbers as numbers."""
    listed = settings.table(name)
    path = data / listed.filename
    table = read_table(path, {}).rename(
        {**listed.column_map, **listed.rename_columns}, strict=False
    )
    table = table.with_columns(_numbers(table[c]) for c in table.columns)
    needed = [settings.household_id_col]
    if name == "households":
        needed += [settings.household_weight_col, settings.seed_geography]
    if missing := [c for c in needed if c not in table.columns]:
        raise CalibrationError(
            f"{path.name} lacks columns, which settings.yaml names: {', '.join(missing)} (it has "
            f"{', '.join(table.columns[:20])})"
        )
    if name == "households" and table[settings.household_id_col].is_duplicated().any():
        raise CalibrationError(f"{path.name}: {settings.household_id_col} is not unique")
    return table


def _numbers(column: pl.Series) -> pl.Series:
    """Return a column of text as numbers, if all of it are numbers."""
    for dtype in (pl.Int64, pl.Float64):
        numbers = column.cast(dtype, strict=False)
        if numbers.null_count() == column.null_count():
            return numbers
    return column


def _incidence(
    controls: pl.DataFrame,
    households: pl.DataFrame,
    persons: pl.DataFrame | None,
    household_id: str,
) -> pl.DataFrame:
    columns = []
    for row in controls.iter_rows(named=True):
        expression = control_expression(row["target"], row["seed_table"], row["expression"] or "")
        table = households if row["seed_table"] == "households" else persons
        if table is None:
            raise CalibrationError(
                f"control {row['target']} counts persons, but input_table_list has no table 'persons'"
            )
        value = table.select(expression.in_polars(table.schema, {}, household_id)).to_series()
        value = value.cast(pl.Float64).fill_null(0.0)
        if row["seed_table"] == "persons":
            counted = pl.DataFrame([table[household_id], value]).group_by(household_id).sum()
            joined = households.select(household_id).join(
                counted, on=household_id, how="left", maintain_order="left"
            )
            value = joined[row["target"]].fill_null(0.0)
        columns.append(value)
    return pl.DataFrame([households[household_id], *columns])


def _totals(
    data: Path, settings: PopsimSettings, controls: pl.DataFrame, crosswalk: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    found = {}
    for (level,), asked in controls.group_by(["geography"], maintain_order=True):
        path = data / settings.table(f"{level}_control_data").filename
        columns: dict[str, type[pl.DataType]] = {str(level): pl.String}
        columns |= dict.fromkeys(asked["control_field"], pl.Float64)
        table = read_table(path, columns)
        areas = crosswalk.select(str(level)).unique(maintain_order=True)
        own = areas.join(table, on=str(level), how="left", maintain_order="left")
        wanted = own.select(
            str(level),
            *[pl.col(r["control_field"]).alias(r["target"]) for r in asked.iter_rows(named=True)],
        )
        for target in wanted.columns[1:]:
            bad = wanted.filter(~(pl.col(target).fill_null(-1.0) >= 0))
            if bad.height:
                raise CalibrationError(
                    f"{path.name}: control {target} of {level} {bad[str(level)][0]} is missing or negative"
                )
        found[str(level)] = wanted
    return {level: found[level] for level in settings.geographies if level in found}
