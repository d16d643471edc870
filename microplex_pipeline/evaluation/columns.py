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
    "ks": "largest difference between the weighted distribution functions of all units, 0 to 1",
    "ks_within_groups": "the same within quintiles of the first condition, averaged",
    "zero_error": "half the sum of absolute differences of the shares of negative, zero and positive",
    "holders": "surveyed units whose amount is not zero",
    "holders_synthetic": "synthetic units whose amount is not zero",
    "share": "weighted share of holders in the survey",
    "share_error": "its standard error, by linearization with households as clusters",
    "share_synthetic": "weighted share of holders among the synthetic records",
    "share_synthetic_error": "its standard error: the noise of the draw",
    "share_z": "difference of the shares over its standard error",
    "ks_holders": "largest difference between the distribution functions among holders, 0 to 1",
    "ks_holders_limit": "what samples of one population exceed with probability 1 %",
    "ks_holders_p": "probability of a distance this large by sampling alone",
    "mean": "weighted mean of all units in the survey (dollars a year)",
    "mean_error": "its standard error",
    "mean_synthetic": "weighted mean of all units among the synthetic records (dollars a year)",
    "mean_synthetic_error": "its standard error",
    "mean_z": "difference of the means over its standard error",
    "total": "weighted total in the survey (dollars a year)",
    "total_error": "its standard error",
    "total_synthetic": "weighted total of the synthetic records, with the survey's sum of weights",
    "total_synthetic_error": "its standard error",
    "total_z": "difference of the totals over its standard error",
    "total_gap": "(total_synthetic - total) / |total|",
    "verdict": "beyond sampling, doubtful (sampling may explain it), or within sampling",
    "headline": "true if the amount is suitable for judging the synthesis",
}

JOINT_COLUMNS = {
    "measure": "amount_correlations, sign_correlations, household_correlations, coverage or auc",
    "value": "measured between survey and synthetic records",
    "by_sampling": "what two samples of one population give on average",
    "limit": "what sampling alone passes in 5 % of cases (coverage: from below)",
    "beyond": "true if the value is beyond the limit",
    "first": "of the pair of amounts that is farthest beyond sampling: the first",
    "second": "the second",
    "survey": "their correlation in the survey",
    "synthetic": "their correlation in the synthetic records",
    "z": "the difference over its standard error",
}

CONCENTRATION_COLUMNS = {
    "area": "state, or the county's five digits (FIPS)",
    "kind": "amount, or target of the state",
    "name": "column of the amount, or name of the target",
    "total": "weighted total",
    "households": "households that contribute to it",
    "effective_households": "Kish's effective number of their contributions",
    "largest_share": "largest contribution over the sum of absolute contributions",
    "top_ten_share": "the ten largest contributions over that sum",
}

OFFICIAL_COLUMNS = {
    "entity": "what is counted: household or tax_unit",
    "measure": "count of the entity, or sum of the variable",
    "variable": "column that is summed, or what is counted",
    "domain": "records that the figure covers",
    "target": "name of the figure, in the form of targets' names",
    "value": "official figure",
    "achieved": "the file's, with calibrated weights",
    "relative_error": "(achieved - value) / max(|value|, 1)",
    "targeted": "true if the weights were calibrated to it",
    "source": "source of the figure",
}

DISCLOSURE_COLUMNS = {
    "measure": "what is measured",
    "value": "measured between the synthetic records and the respondents",
    "chance": "the same for people whom no model saw, or the value expected by chance",
    "standard_error": "of value - chance",
    "z": "value - chance in standard errors",
    "verdict": "no more than by chance (below 2 standard errors), possibly above (2 to 3), or above",
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
