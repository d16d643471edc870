"""The data folder, a resource that all assets share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from microplex_pipeline.calibration.targets.sources import TargetSources, load_target_sources
from microplex_pipeline.defs.file_stamps import Stamp, stamp
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.survey import (
    SurveySchema,
    SurveyWords,
    column_descriptions,
    later_editions,
    load_schema,
    survey_words,
    survey_years,
    tax_calculator_names,
)

Value = TypeVar("Value")


@dataclass(frozen=True)
class DataFolder:
    """The folder of surveys and targets.

    Files are parsed once, and again if they change. It is not a configurable Dagster resource: the UI would
    show its path, and a run's config could change it.
    """

    path: str
    _read: dict[str, tuple[Any, Any]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def schema_file(self) -> str:
        """The file of the survey's schema, relative to the folder."""
        return "surveys/cps_tax_units.yaml"

    @property
    def survey_schema(self) -> SurveySchema:
        """The survey's schema."""
        return self._fresh(
            [self.schema_file], lambda: load_schema(Path(self.path) / self.schema_file)
        )

    @property
    def survey_years(self) -> list[int]:
        """The years that the survey covers, including later editions."""
        return survey_years(self.survey_schema, self.path)

    @property
    def column_descriptions(self) -> dict[str, str]:
        """Meanings of the survey's columns, with units."""
        schema = self.survey_schema
        return self._fresh(
            [self.schema_file, schema.columns_file, "descriptions"],
            lambda: column_descriptions(schema, self.path),
        )

    @property
    def tax_calculator_names(self) -> dict[str, str]:
        """The survey's columns by the names that they have in Tax-Calculator."""
        schema = self.survey_schema
        return self._fresh(
            [self.schema_file, schema.columns_file, "taxcalc"],
            lambda: tax_calculator_names(schema, self.path),
        )

    @property
    def words(self) -> SurveyWords:
        """Names of the survey's columns and codes in words."""
        schema = self.survey_schema
        return self._fresh(
            [self.schema_file, schema.columns_file, "words"],
            lambda: survey_words(schema, self.path),
        )

    @property
    def target_sources(self) -> TargetSources:
        """The sources of the targets."""
        file = self.targets / "sources.yaml"
        return self._fresh(["targets/sources.yaml"], lambda: load_target_sources(file))

    @property
    def targets(self) -> Path:
        """The folder of target files."""
        return Path(self.path) / "targets"

    @property
    def citations(self) -> Path:
        """The file of tables and addresses of the targets' sources."""
        return self.targets / "citations.csv"

    @property
    def boundaries(self) -> Path:
        """The file of state and county boundaries, projected for maps."""
        return Path(self.path) / "geography" / "counties-albers-10m.json"

    @property
    def population(self) -> Path:
        """The file of population by state and year."""
        return Path(self.path) / self.survey_schema.ageing.population

    def stamps(self, files: Iterable[str]) -> dict[str, Stamp | None]:
        """Return the stamps of files, and of what says which files there are."""
        editions = later_editions(self.survey_schema).as_posix()
        names = {*files, self.schema_file, "targets/sources.yaml", editions}
        return {name: stamp(Path(self.path) / name) for name in sorted(names)}

    def _fresh(self, files: list[str], load: Callable[[], Value]) -> Value:
        """Return what is loaded from files, loaded again if one of them changed."""
        name, stamps = " ".join(files), [stamp(Path(self.path) / file) for file in files]
        if name not in self._read or self._read[name][0] != stamps:
            self._read[name] = stamps, load()
        value: Value = self._read[name][1]
        return value


@dataclass(frozen=True)
class PresentSettings:
    """The settings as they are now, for what compares with them while Dagster keeps the definitions loaded.

    Attributes
    ----------
    read : reads them anew.
    """

    read: Callable[[], Settings]
