"""Descriptions of the columns of the evaluation's tables.

They stand apart from the code that fills the tables, so that a codebook needs no numerical packages.
"""

from __future__ import annotations

AREA_COLUMNS = {
    "geoid": "county, five digits (FIPS)",
    "target": "name of the target",
    "published": "figure published by the statistical office",
    "value": "target value: the published figure, scaled so that the areas add up to the state",
    "achieved": "total with the area's weights",
    "relative_error": "(achieved - value) / max(|value|, 1)",
    "households": "sum of the area's weights",
    "records": "number of households with a weight in the area",
    "effective_households": "Kish's effective sample size of the area's weights",
    "source": "source of the figure",
    "file_year": "year of the figure",
}

COMPARISON_COLUMNS = {
    "geoid": "county, five digits (FIPS)",
    "entity": "what is counted",
    "measure": "count, sum, mean or ratio",
    "variable": "column that is summed, or what is counted",
    "domain": "records that the figure covers",
    "value": "figure published by the statistical office",
    "achieved": "the same from the records with the county's weights, which do not aim at it",
    "share": "the figure as a share of the figures of the same thing in the county",
    "share_achieved": "the same share from the records",
    "source": "source of the figure",
    "file_year": "year of the figure",
}

FIDELITY_COLUMNS = {
    "variable": "amount",
    "ks": "largest difference between the weighted distribution functions, 0 to 1",
    "ks_within_groups": "the same within quintiles of the first condition, averaged",
    "share_zero": "weighted share of zeros in the survey",
    "share_zero_synthetic": "weighted share of zeros in the synthetic records",
    "zero_error": "half the sum of absolute differences of the shares of negative, zero and positive",
    "mean": "weighted mean in the survey (dollars a year)",
    "mean_synthetic": "weighted mean in the synthetic records (dollars a year)",
    "headline": "true if the amount is suitable for judging the synthesis",
}

DISCLOSURE_COLUMNS = {
    "measure": "what is measured",
    "value": "measured between the synthetic records and the respondents",
    "chance": "the same for people whom no model saw, or the value expected by chance",
    "meaning": "what a value above chance would mean",
}

HELD_OUT_COLUMNS = {
    "family": "targets that were held out together",
    "target": "name of the target that was held out",
    "value": "its value (dollars for sums of amounts, else a count)",
    "standard_error": "how far it may be off, in its units; null if it is met exactly",
    "synthetic": "relative error of the synthetic records, calibrated to all other families",
    "survey": "the same of the survey; null for its own totals, which it has by construction",
    "uncalibrated": "relative error of the survey raised to the published persons, not calibrated",
}

ESTIMATE_COLUMNS = {
    "statistic": "what is estimated of the variable",
    "variable": "column, or for a target its variable",
    "domain": "which of the universe it is about",
    "universe": "what is counted: tax units, households or persons",
    "estimate": "estimate from calibrated_population",
    "standard_error": "standard deviation of the same statistic over the replicates",
    "low": "lower end of the 95 % interval",
    "high": "upper end of the 95 % interval",
    "replicates": "number of replicates",
}
