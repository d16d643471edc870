"""The chain, one asset per file, in the order in which data flow; each thin over the library.

raw_survey -> survey -> transformer -> zero_model -> flow -> synthetic_population
    -> calibrated_population -> county_weights, target_report, fidelity_report, disclosure_report
    -> county_report, state_report -> national_report, by year alone

with national_survey -> national_prior, by year alone, before transformer, zero_model and flow, and
targets, from the survey and published files, before calibrated_population.
"""

from microplex_pipeline.defs.assets.calibrated_population import calibrated_population
from microplex_pipeline.defs.assets.county_report import county_report
from microplex_pipeline.defs.assets.county_weights import county_weights
from microplex_pipeline.defs.assets.disclosure_report import disclosure_report
from microplex_pipeline.defs.assets.fidelity_report import fidelity_report
from microplex_pipeline.defs.assets.flow import flow
from microplex_pipeline.defs.assets.national_prior import national_prior
from microplex_pipeline.defs.assets.national_report import national_report
from microplex_pipeline.defs.assets.national_survey import national_survey
from microplex_pipeline.defs.assets.raw_survey import raw_survey
from microplex_pipeline.defs.assets.state_report import state_report
from microplex_pipeline.defs.assets.survey import survey
from microplex_pipeline.defs.assets.synthetic_population import synthetic_population
from microplex_pipeline.defs.assets.target_report import target_report
from microplex_pipeline.defs.assets.targets import targets
from microplex_pipeline.defs.assets.transformer import transformer
from microplex_pipeline.defs.assets.zero_model import zero_model

# of one state and year
CHAIN = [
    raw_survey,
    survey,
    transformer,
    zero_model,
    flow,
    synthetic_population,
    targets,
    calibrated_population,
    county_weights,
    target_report,
    fidelity_report,
    disclosure_report,
    county_report,
    state_report,
]

# what comes of a survey's file
INGEST = [raw_survey, survey]

# what depends on targets
CALIBRATION = [
    targets,
    calibrated_population,
    county_weights,
    target_report,
    county_report,
    state_report,
]

# of one year
NATIONAL = [national_survey, national_prior]

# of one year, once its states are built
SUMMARY = [national_report]

__all__ = [
    "CALIBRATION",
    "CHAIN",
    "INGEST",
    "NATIONAL",
    "SUMMARY",
    *(asset.key.path[-1] for asset in [*NATIONAL, *CHAIN, *SUMMARY]),
]
