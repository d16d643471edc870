"""The settings of a PopulationSim folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.data_files import FileName, load_mapping


class _Read(BaseModel):
    """Keys that are read; the file has others, which concern PopulationSim's own algorithm."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class InputTable(_Read):
    """One of the tables that are read."""

    tablename: str
    filename: str
    index_col: str | None = None
    rename_columns: dict[str, str] = Field(default_factory=dict)
    column_map: dict[str, str] = Field(default_factory=dict, description="the older name of it")


class OutputTable(_Read):
    """A file of the synthetic population, and the columns that it has beside the ids and areas."""

    filename: FileName
    columns: list[str] = Field(default_factory=list)


class OutputPopulation(_Read):
    """The synthetic population's files."""

    household_id: str = "household_id"
    households: OutputTable = OutputTable(filename="synthetic_households.csv")
    persons: OutputTable = OutputTable(filename="synthetic_persons.csv")


class PopsimSettings(_Read):
    """The settings that are read.

    Attributes
    ----------
    geographies : names of the levels, largest areas first.
    seed_geography : the level by which the seed is divided: households live in the areas that theirs holds.
    """

    geographies: list[str] = Field(min_length=2)
    seed_geography: str
    household_weight_col: str
    household_id_col: str
    total_hh_control: str
    control_file_name: str = "controls.csv"
    data_dir: str = "data"
    input_table_list: list[InputTable]
    output_synthetic_population: OutputPopulation = OutputPopulation()

    def table(self, name: str) -> InputTable:
        """Return how a table is read.

        Raises
        ------
        CalibrationError
            If it is not listed.
        """
        for table in self.input_table_list:
            if table.tablename == name:
                return table
        listed = ", ".join(t.tablename for t in self.input_table_list)
        raise CalibrationError(
            f"settings.yaml: input_table_list has no table {name!r} (it has {listed})"
        )


def read_settings(folder: Path) -> PopsimSettings:
    """Read configs/settings.yaml of a folder.

    Raises
    ------
    CalibrationError
        If it is missing or no such file, or lacks a key.
    """
    path = folder / "configs" / "settings.yaml"
    found: dict[str, Any] = load_mapping(path, "settings.yaml", CalibrationError)
    try:
        settings = PopsimSettings.model_validate(found)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors()
        )
        raise CalibrationError(f"settings.yaml is not valid: {faults}") from error
    if settings.seed_geography not in settings.geographies[:-1]:
        raise CalibrationError(
            f"settings.yaml: seed_geography {settings.seed_geography!r} must be one of geographies, above "
            f"the last of them ({', '.join(settings.geographies)})"
        )
    return settings
