"""The warehouse's tables as files for other programs: Parquet, CSV, Stata, Tax-Calculator."""

from microplex_pipeline.export.files import CannotExport, cut_names, export, exportable
from microplex_pipeline.export.tax_calculator import NotForTaxCalculator, for_tax_calculator

__all__ = [
    "CannotExport",
    "NotForTaxCalculator",
    "cut_names",
    "export",
    "exportable",
    "for_tax_calculator",
]
