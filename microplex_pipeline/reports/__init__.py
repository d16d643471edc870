"""Reports for the responsible statistician: self-contained HTML pages of the evaluation's results."""

from microplex_pipeline.reports.national_page import national_page
from microplex_pipeline.reports.provenance_section import Provenance
from microplex_pipeline.reports.state_page import state_page
from microplex_pipeline.reports.state_results import StateResults
from microplex_pipeline.reports.summary import SUMMARY_COLUMNS, state_summary
from microplex_pipeline.reports.target_words import in_words, target_in_words

__all__ = [
    "SUMMARY_COLUMNS",
    "Provenance",
    "StateResults",
    "in_words",
    "national_page",
    "state_page",
    "state_summary",
    "target_in_words",
]
