"""microplex popsim: whole households from a PopulationSim folder."""

from __future__ import annotations

from pathlib import Path

import click

from microplex_pipeline.cli.aligned_rows import aligned_rows


@click.command(short_help="Whole households from a PopulationSim folder.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--to", "output", type=click.Path(file_okay=False, path_type=Path),
    help="folder of the results; output in the folder, if not given",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="of rounding")
def popsim(folder: Path, output: Path | None, seed: int) -> None:
    """Place whole households in the zones of a PopulationSim folder, as it is.

    \b
    Example:  microplex popsim example_calm --to results

    Read are configs/settings.yaml, controls.csv, the crosswalk, the seed's households and persons, and
    the control totals of every geography. Settings of PopulationSim's own algorithm are not used. Written are
    its output files: the expanded household ids, the households and persons, and a summary of each
    geography. No project is needed.

    Exit code 0; 1 if a file cannot be used, or no weights meet the controls.
    """
    from microplex_pipeline.calibration import CalibrationError, NotConverged
    from microplex_pipeline.calibration.popsim import (
        populate,
        read_popsim,
        total_error,
        write_population,
    )
    from microplex_pipeline.data_files import DataFileError

    try:
        asked = read_popsim(folder)
        found = populate(asked, seed)
        paths = write_population(asked, found, output or folder / "output")
    except (CalibrationError, NotConverged, DataFileError) as error:
        raise click.ClickException(str(error)) from error
    rows = [("geography", "controls", "total error", "within one")]
    for (level,), part in found.summary.group_by(["geography"], maintain_order=True):
        error_share, within = total_error(part)
        rows.append(
            (str(level), f"{part.height:,}", f"{100 * error_share:.3f} %", f"{100 * within:.1f} %")
        )
    click.echo(aligned_rows(rows))
    click.echo(f"\n{found.households.height:,} households written to {paths[0].parent}")
