"""Resources that assets share: the data folder and what its files say."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dagster._core.definitions.resource_annotation import TreatAsResourceParam

from microplex_pipeline.calibration.targets.sources import TargetSources, load_target_sources
from microplex_pipeline.survey import (
    SurveySchema,
    SurveyWords,
    column_descriptions,
    load_schema,
    survey_words,
    survey_years,
)


@dataclass(frozen=True)
class DataFolder(TreatAsResourceParam):
    """The folder of bundled surveys and targets.

    No configurable resource: the UI would show the machine's path, and let a run's config change it.
    """

    path: str

    @property
    def schema_file(self) -> str:
        """The survey's schema, below the folder."""
        return "surveys/cps_tax_units.yaml"

    @cached_property
    def survey_schema(self) -> SurveySchema:
        """What the survey is."""
        return load_schema(Path(self.path) / self.schema_file)

    @property
    def survey_years(self) -> list[int]:
        """The years that were surveyed, later editions included."""
        return survey_years(self.survey_schema, self.path)

    @cached_property
    def column_descriptions(self) -> dict[str, str]:
        """What the survey's columns mean, with units."""
        return column_descriptions(self.survey_schema, self.path)

    @cached_property
    def words(self) -> SurveyWords:
        """What the survey's columns and codes are called."""
        return survey_words(self.survey_schema, self.path)

    @cached_property
    def target_sources(self) -> TargetSources:
        """Where targets come from."""
        return load_target_sources(self.targets / "sources.yaml")

    @property
    def targets(self) -> Path:
        """The folder of target files."""
        return Path(self.path) / "targets"

    @property
    def boundaries(self) -> Path:
        """Boundaries of states and counties, projected for maps."""
        return Path(self.path) / "geography" / "counties-albers-10m.json"

    @property
    def population(self) -> Path:
        """Population by state and year."""
        return Path(self.path) / self.survey_schema.ageing.population
