"""Later editions of the survey: the job that imports one from the incoming folder."""

from pathlib import Path

import dagster as dg

from microplex_pipeline.defs.coverage import STATES, closed_years
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.survey import EditionLimits, SurveyError, columns_left_out, take_in


class ArrivedFile(dg.Config):
    """A file in the incoming folder, given by its name without a path."""

    name: str


@dg.op(out=dg.Out(dg.Nothing))
def store_by_year(
    config: ArrivedFile,
    data: dg.ResourceParam[DataFolder],
    settings: dg.ResourceParam[Settings],
) -> dg.Output[None]:
    """Verify a file and store its records by year, or refuse all of it and write the reason beside it."""
    file = _in_incoming(settings.incoming, config.name)
    checks = settings.parameters.checks
    try:
        left_out = columns_left_out(file, data.survey_schema, data.path)
        taken = take_in(
            file,
            data.survey_schema,
            data.path,
            STATES,
            last_year=int(closed_years()[-1]),
            min_records=checks.min_records,
            limits=EditionLimits(checks.max_persons_ratio, checks.max_amount_ratio),
        )
    except SurveyError as error:
        _put_aside(file, "refused").with_suffix(".txt").write_text(f"{error}\n", "utf-8")
        raise dg.Failure(
            f"{error}. The file is now in incoming/refused: correct it and drop it again",
            allow_retries=False,
        ) from error
    _put_aside(file, "taken")
    # remove what an earlier refusal of a file of this name left behind
    for of_refusal in (config.name, f"{Path(config.name).stem}.txt"):
        (settings.incoming / "refused" / of_refusal).unlink(missing_ok=True)
    return dg.Output(
        None,
        metadata={"file": config.name, "years": taken, "columns not stored": left_out},
    )


@dg.job(
    description="Verifies a file in the incoming folder and stores it as editions of its years."
)
def take_in_survey() -> None:
    """Import one file."""
    store_by_year()


def _in_incoming(incoming: Path, name: str) -> Path:
    if Path(name).name != name or name in ("", ".", ".."):
        raise dg.Failure(
            f"{name!r} is not a file name: give the name of a file in the incoming folder"
        )
    if not (incoming / name).is_file():
        raise dg.Failure(f"there is no file {name} in the incoming folder")
    return incoming / name


def _put_aside(file: Path, folder: str) -> Path:
    """Move a file to a subfolder of its folder, replacing an older file of the same name."""
    target = file.parent / folder / file.name
    target.parent.mkdir(exist_ok=True)
    return file.replace(target)
