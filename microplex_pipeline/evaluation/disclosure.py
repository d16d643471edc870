"""Disclosure risk of synthetic records: copies, unique amounts, nearness, membership, attribution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from microplex_pipeline.evaluation.columns import DISCLOSURE_COLUMNS
from microplex_pipeline.evaluation.nearness import (
    AgainstChance,
    attribution,
    attribution_beside_others,
    nearness,
)

MIN_AMOUNTS = 2
POSSIBLY, CLEARLY = 2.0, 3.0  # standard errors above chance
NO_MORE, ABOVE = "no more than by chance", "above chance"

DISCLOSURE_NAMES = {
    "copies": "whole-record copies",
    "unique_amounts": "unique amounts",
    "nearer_to_respondents": "nearness to respondents",
    "membership_auc": "membership",
    "attribution": "attribution",
}

# every measure is a share; this is what it is a share of
DISCLOSURE_MEASURES = {
    "copies": "synthetic units identical to a respondent in every column, with two or more amounts",
    "unique_amounts": "non-zero synthetic amounts that equal an amount of exactly one respondent",
    "nearer_to_respondents": "synthetic units nearer to a respondent than to a person of another state",
    "membership_auc": "pairs of a respondent and a person of another state in which the respondent is "
    "nearer to the synthetic units (area under the ROC curve)",
    "attribution": "respondents' non-zero amounts that can be predicted within 5 % from their conditions",
}


def disclosure(
    train: pl.DataFrame,
    holdout: pl.DataFrame,
    synthetic: pl.DataFrame,
    targets: Sequence[str],
    conditions: Sequence[str],
) -> dict[str, float]:
    """Return the measures of disclosure; each compares training records with held-out records.

    Parameters
    ----------
    train : records on which the models were trained.
    holdout : records that no model saw.
    synthetic : synthetic records.
    targets, conditions : columns of amounts, and columns known before the amounts are drawn.

    Returns
    -------
    copies : share of synthetic records that equal a training record in all conditions and targets and
        have at least two non-zero amounts;
    copies_by_chance : the same for held-out records, scaled to the number of training records;
    unique_amounts : share of synthetic non-zero amounts that belong to a single training respondent;
    unique_amounts_by_chance : the same for held-out respondents, i.e. the rate of a model without memory;
    copies_error, unique_amounts_error, nearer_to_train_error, membership_auc_error, attribution_error :
        standard errors of the differences from chance;
    nearer_to_train : share of synthetic records nearer to a training than to a held-out record, with
        samples of equal size (0.5 is best);
    membership_auc : area under the ROC curve of classifying records as training or held-out by their
        distance to the nearest synthetic record (0.5 is best);
    attribution_train, attribution_holdout : share of non-zero amounts that an intruder who knows the
        conditions predicts within 5 % from the synthetic record nearest in conditions.
    """
    unique = unique_amounts(train, holdout, synthetic, targets)
    copies = copied_records(train, holdout, synthetic, targets, conditions)
    near, membership = nearness(train, holdout, synthetic, [*conditions, *targets])
    attributed = [attribution(p, synthetic, targets, conditions) for p in (train, holdout)]
    return {
        "copies": copies.value,
        "copies_by_chance": copies.chance,
        "copies_error": copies.standard_error,
        "unique_amounts": unique.value,
        "unique_amounts_by_chance": unique.chance,
        "unique_amounts_error": unique.standard_error,
        "nearer_to_train": near.value,
        "nearer_to_train_error": near.standard_error,
        "membership_auc": membership.value,
        "membership_auc_error": membership.standard_error,
        "attribution_train": attributed[0].value,
        "attribution_holdout": attributed[1].value,
        "attribution_error": float(np.hypot(attributed[0].error, attributed[1].error)),
    }


def disclosure_table(
    train: pl.DataFrame,
    others: pl.DataFrame,
    synthetic: pl.DataFrame,
    targets: Sequence[str],
    conditions: Sequence[str],
    household: str,
) -> pl.DataFrame:
    """Return the measures of `disclosure` as a table, for records with conditions of respondents.

    Because the conditions are those of respondents, nearness is measured in the targets alone. Attribution
    is compared with what the other respondents tell, see `nearness.attribution_beside_others`.

    Parameters
    ----------
    others : people whom no model saw. If they are of another population, such as other states, their
        rates give only the order of magnitude of chance.
    household : column of the households of `train`, of which there are at least two.

    Returns
    -------
    One row per measure, with the columns of DISCLOSURE_COLUMNS.

    Raises
    ------
    ValueError
        If all people of `train` are of one household.
    """
    copies = copied_records(train, others, synthetic, targets, conditions)
    unique = unique_amounts(train, others, synthetic, targets)
    near, membership = nearness(train, others, synthetic, targets)
    attributed = attribution_beside_others(train, synthetic, targets, conditions, household)
    rows = [
        ("copies", copies, "whole records of respondents come back"),
        ("unique_amounts", unique, "amounts that one respondent alone holds come back"),
        ("nearer_to_respondents", near, "synthetic amounts crowd around respondents'"),
        ("membership_auc", membership,
         "who was a respondent can be told from the synthetic records"),
        ("attribution", attributed,
         "who knows a respondent's conditions learns his or her amounts, and not from the other respondents"),
    ]  # fmt: skip
    judged = []
    for measure, (value, chance, error), meaning in rows:
        z = (value - chance) / error if error > 0 else None
        judged.append((measure, value, chance, error, z, disclosure_verdict(z), meaning))
    return pl.DataFrame(
        judged, schema=list(DISCLOSURE_COLUMNS), schema_overrides={"z": pl.Float64}, orient="row"
    )


def disclosure_verdict(z: float | None) -> str:
    """Return in words what a difference from chance means, given in standard errors."""
    if z is None or z < POSSIBLY:
        return NO_MORE
    return ABOVE if z >= CLEARLY else "possibly above chance"


def whole_record_copies(
    train: pl.DataFrame, synthetic: pl.DataFrame, targets: Sequence[str], conditions: Sequence[str]
) -> float:
    """Return the share of synthetic records that copy a training record (see `disclosure`).

    Records with fewer than two non-zero amounts do not count as copies: they coincide because people
    are alike.
    """
    whole = [*conditions, *targets]
    copies = _with_amounts(synthetic, targets).join(
        train.select(whole).unique(), on=whole, how="semi", nulls_equal=True
    )
    return copies.height / synthetic.height


def copied_records(
    train: pl.DataFrame,
    holdout: pl.DataFrame,
    synthetic: pl.DataFrame,
    targets: Sequence[str],
    conditions: Sequence[str],
) -> AgainstChance:
    """Return the share of copies of training records and, by chance, of held-out records."""
    whole = [*conditions, *targets]
    drawn = _with_amounts(synthetic, targets).group_by(whole).len("hits")
    hits = [
        _with_amounts(people, targets)
        .select(whole)
        .unique(maintain_order=True)
        .join(drawn, on=whole, how="left", nulls_equal=True, maintain_order="left")["hits"]
        .fill_null(0)
        .to_numpy()
        for people in (train, holdout)
    ]
    return _against_chance([(hits[0], hits[1])], train.height / holdout.height, synthetic.height)


def unique_amounts(
    train: pl.DataFrame, holdout: pl.DataFrame, synthetic: pl.DataFrame, targets: Sequence[str]
) -> AgainstChance:
    """Return how often synthetic amounts equal an amount of a single respondent, and by chance.

    Take the amounts that exactly one respondent of both samples has. Chance decided to which sample that
    respondent belongs. A model without memory therefore reproduces amounts of training respondents as
    often as those of held-out ones. Both rates are shares of the synthetic non-zero amounts.
    """
    hits, amounts = [], 0
    for target in targets:
        drawn = synthetic.select(pl.col(target).alias("amount")).filter(pl.col("amount") != 0)
        amounts += drawn.height
        drawn = drawn.group_by("amount").len("hits")
        held = pl.concat(
            people.select(
                pl.col(target).cast(synthetic[target].dtype).alias("amount"),
                pl.lit(seen).alias("seen"),
            )
            for people, seen in ((train, True), (holdout, False))
        )
        unique = held.filter(pl.col("amount").is_unique(), pl.col("amount") != 0).join(
            drawn, on="amount", how="left", maintain_order="left"
        )
        counts, seen = unique["hits"].fill_null(0).to_numpy(), unique["seen"].to_numpy()
        hits.append((counts[seen], counts[~seen]))
    return _against_chance(hits, None, amounts)


def _with_amounts(people: pl.DataFrame, targets: Sequence[str]) -> pl.DataFrame:
    """Return the records with enough non-zero amounts to be distinctive."""
    return people.filter(pl.sum_horizontal(pl.col(t) != 0 for t in targets) >= MIN_AMOUNTS)


def _against_chance(
    hits: Sequence[tuple[np.ndarray, np.ndarray]], scale: float | None, drawn: int
) -> AgainstChance:
    """Compare matches with seen and unseen units, summed over groups of exchangeable units.

    Parameters
    ----------
    hits : for each group, the numbers of matches with each seen and with each unseen unit.
    scale : number of seen per unseen units; None to take it from each group.
    drawn : number of synthetic records or amounts.
    """
    value, chance, variance = 0.0, 0.0, 0.0
    for seen, unseen in hits:
        value += seen.sum()
        if not len(unseen):
            continue
        ratio = len(seen) / len(unseen) if scale is None else scale
        chance += unseen.sum() * ratio
        if len(seen):
            both = np.concatenate([seen, unseen])
            # variance of the sum over a sample drawn without replacement;
            # value - chance varies 1 + ratio times as much as that sum
            of_sum = both.var(ddof=1) * len(seen) * len(unseen) / len(both)
            variance += (1 + ratio) ** 2 * of_sum
    drawn = max(drawn, 1)
    return AgainstChance(float(value / drawn), float(chance / drawn), float(variance**0.5 / drawn))
