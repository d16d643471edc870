"""The warehouse's tables as files for other programs: Parquet, CSV, Stata."""

from microplex_pipeline.export.files import CannotExport, cut_names, export, exportable

__all__ = ["CannotExport", "cut_names", "export", "exportable"]
