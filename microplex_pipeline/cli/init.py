"""microplex init: makes a new project."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from microplex_pipeline.cli.places import IN_HISTORY, Folder, near, refuse_characters

PACKAGE = Path(__file__).resolve().parents[1]
FILES = ("microplex.yaml", "workspace.yaml", "dagster.yaml")


@click.command(short_help="Make a project in a new folder.")
@click.argument("folder", type=Folder())
def init(folder: Path) -> None:
    """Make a project in a new folder: settings, the bundled survey and targets, Dagster's workspace.

    \b
    Example:  microplex init demo

    Existing files are never overwritten: a file of the same name is an error.

    Exit code 0, or 1 if the folder cannot be written to or already holds a project.
    """
    template = _template()
    refuse_characters(folder.absolute(), IN_HISTORY, "the folder")
    if there := [name for name in (*FILES, "data") if (folder / name).exists()]:
        raise click.ClickException(
            f"{near(folder)} already has {', '.join(there)}: choose another folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(template / "data", folder / "data", ignore=_later_editions)
        for name in FILES:
            shutil.copyfile(template / name, folder / name)
    except OSError as error:
        raise click.ClickException(
            f"the project could not be written to {near(folder)}: {error.strerror}"
        ) from error
    click.echo(
        f"made a project in {near(folder)}. Next: cd {near(folder)} && microplex build RI 2014"
    )


def _template() -> Path:
    """Return the folder with the files of a new project: in the installed package, or else the checkout."""
    installed = PACKAGE / "project"
    return installed if installed.is_dir() else PACKAGE.parent


def _later_editions(folder: str, names: list[str]) -> list[str]:
    """Return the names not to copy: later editions of the survey that a checkout has stored."""
    return [name for name in names if Path(folder).name == "surveys" and "." not in name]
