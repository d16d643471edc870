"""The assets, one per file; each is a thin layer over the library.

The main chain is

raw_survey -> survey -> transformer -> zero_model -> flow -> synthetic_population
    -> calibrated_population -> persons, county_weights, target_report, fidelity_report, joint_report,
       disclosure_report, held_out_report, comparisons -> county_report, concentration, official_report,
       state_report -> national_report

In addition, national_survey -> national_prior come before transformer, zero_model and flow;
national_survey -> national_completion -> completion, national_survey -> national_compositions, and
national_tilt, made from the survey, prior and completion of the nation, before synthetic_population; targets,
made from the survey and published files, before calibrated_population. National assets are partitioned by
year alone, all others by state and year.

Only if asked for: replicates, made from the survey, the national models, their tilt and the files of targets,
and estimates, made from calibrated_population, targets and replicates.
"""

from microplex_pipeline.defs.assets.calibrated_population import calibrated_population
from microplex_pipeline.defs.assets.comparisons import comparisons
from microplex_pipeline.defs.assets.completion import completion
from microplex_pipeline.defs.assets.concentration import concentration
from microplex_pipeline.defs.assets.county_report import county_report
from microplex_pipeline.defs.assets.county_weights import county_weights
from microplex_pipeline.defs.assets.disclosure_report import disclosure_report
from microplex_pipeline.defs.assets.estimates import estimates
from microplex_pipeline.defs.assets.fidelity_report import fidelity_report
from microplex_pipeline.defs.assets.flow import flow
from microplex_pipeline.defs.assets.held_out_report import held_out_report
from microplex_pipeline.defs.assets.joint_report import joint_report
from microplex_pipeline.defs.assets.national_completion import national_completion
from microplex_pipeline.defs.assets.national_compositions import national_compositions
from microplex_pipeline.defs.assets.national_prior import national_prior
from microplex_pipeline.defs.assets.national_report import national_report
from microplex_pipeline.defs.assets.national_survey import national_survey
from microplex_pipeline.defs.assets.national_tilt import national_tilt
from microplex_pipeline.defs.assets.official_report import official_report
from microplex_pipeline.defs.assets.persons import persons
from microplex_pipeline.defs.assets.raw_survey import raw_survey
from microplex_pipeline.defs.assets.replicates import replicates
from microplex_pipeline.defs.assets.state_report import state_report
from microplex_pipeline.defs.assets.survey import survey
from microplex_pipeline.defs.assets.synthetic_population import synthetic_population
from microplex_pipeline.defs.assets.target_report import target_report
from microplex_pipeline.defs.assets.targets import targets
from microplex_pipeline.defs.assets.tract_weights import tract_weights
from microplex_pipeline.defs.assets.transformer import transformer
from microplex_pipeline.defs.assets.zero_model import zero_model

# partitioned by state and year
CHAIN = [
    raw_survey,
    survey,
    transformer,
    zero_model,
    flow,
    completion,
    synthetic_population,
    targets,
    calibrated_population,
    persons,
    county_weights,
    target_report,
    fidelity_report,
    joint_report,
    disclosure_report,
    held_out_report,
    comparisons,
    county_report,
    concentration,
    official_report,
    state_report,
]

# what is made from the survey's file alone
INGEST = [raw_survey, survey]

# what depends on targets
CALIBRATION = [
    targets,
    calibrated_population,
    persons,
    county_weights,
    target_report,
    held_out_report,
    comparisons,
    county_report,
    concentration,
    official_report,
    state_report,
]

# partitioned by state and year, for states with figures of tracts
TRACTS = [tract_weights]

# partitioned by state and year, built only if asked for
ERRORS = [replicates, estimates]

# partitioned by year
NATIONAL = [
    national_survey,
    national_prior,
    national_completion,
    national_compositions,
    national_tilt,
]

# partitioned by year, built after the year's states
SUMMARY = [national_report]

__all__ = [
    "CALIBRATION",
    "CHAIN",
    "ERRORS",
    "INGEST",
    "NATIONAL",
    "SUMMARY",
    "TRACTS",
    *(asset.key.path[-1] for asset in [*NATIONAL, *CHAIN, *TRACTS, *ERRORS, *SUMMARY]),
]
