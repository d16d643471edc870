"""The verdict at the top of a state's page: what is wrong first, each finding in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from microplex_pipeline.evaluation.amount_fidelity import BEYOND, DOUBTFUL
from microplex_pipeline.evaluation.concentration import STATE
from microplex_pipeline.evaluation.disclosure import DISCLOSURE_NAMES, NO_MORE
from microplex_pipeline.reports.state_results import StateResults
from microplex_pipeline.reports.tables import count, percent
from microplex_pipeline.survey import SurveyWords
from microplex_pipeline.survey.words import capital

Tone = Literal["bad", "doubt", "good"]
NEAR = 0.02  # relative difference from a published number that is not remarkable
WORDS = {"bad": "Not in order", "doubt": "Doubtful", "good": "In order"}


@dataclass(frozen=True)
class Finding:
    """A sentence of the verdict, with the section that says more.

    Attributes
    ----------
    tone : "bad" if something is wrong, "doubt" if it may be, "good" if not.
    topic : what it is about.
    text : the sentence.
    section : id of the section.
    """

    tone: Tone
    topic: str
    text: str
    section: str

    @property
    def word(self) -> str:
        """The tone in a word, for readers who cannot see colours."""
        return WORDS[self.tone]


def verdict(results: StateResults, summary: dict[str, Any], words: SurveyWords) -> list[Finding]:
    """Return the findings, in the order in which a statistician asks for them."""
    return [
        _checks(results, summary),
        _targets(summary, results),
        *_households(results),
        _amounts(results, words),
        _joint(results),
        _few_records(results, words),
        _disclosure(results),
    ]


def _checks(results: StateResults, summary: dict[str, Any]) -> Finding:
    failed = [j for j in results.judgements if not j.passed]
    if not failed:
        return Finding("good", "Checks", f"All {summary['checks']} checks passed.", "checks")
    names = ", ".join(j.check.replace("_", " ") for j in failed)
    tone: Tone = "bad" if any(j.severity == "error" for j in failed) else "doubt"
    text = f"{len(failed)} of {summary['checks']} checks did not pass: {names}."
    return Finding(tone, "Checks", text, "checks")


def _targets(summary: dict[str, Any], results: StateResults) -> Finding:
    missed = summary["targets"] - summary["targets_met"]
    within = f"{100 * results.tolerance:g}\u202f%, or {results.max_z:g} of their standard errors"
    text = (
        f"{missed} of {summary['targets']} are missed by more than {within}. "
        if missed
        else f"All {summary['targets']} are met within {within}, but they are not all facts: "
    )
    moved = summary["targets_moved"]
    from_another_year = f" ({moved} of them moved from another year)" if moved else ""
    kinds = [
        (summary["targets_published"], f"a published total{from_another_year}",
         f"published totals{from_another_year}"),
        (summary["targets_shares"], "a published share of a count that is not published",
         "published shares of a count that is not published"),
        (summary["targets_pooled"], "a total pooled over the survey's years",
         "totals pooled over the survey's years"),
        (summary["targets_modelled"], "the survey's own total", "the survey's own totals"),
    ]  # fmt: skip
    parts = [
        f"{n} {'is' if n == 1 else 'are'} {one if n == 1 else many}" for n, one, many in kinds if n
    ]
    known = sum(n for n, *_ in kinds)
    if other := summary["targets"] - known:
        parts.append(f"{other} of another kind")
    return Finding("bad" if missed else "good", "Targets", f"{text}{', '.join(parts)}.", "targets")


def _households(results: StateResults) -> list[Finding]:
    figure = results.published_households
    if figure is None:
        return []
    gap = float(figure["achieved"]) / float(figure["value"]) - 1
    size = f"{percent(abs(gap))} {'more' if gap > 0 else 'fewer'} than"
    text = (
        f"The weights represent {count(float(figure['achieved']))} households, {size} the published "
        f"{count(float(figure['value']))} ({figure['source']})."
    )
    tone: Tone = "good" if abs(gap) <= NEAR else "doubt"
    return [Finding(tone, "Households", text, "official")]


def _amounts(results: StateResults, words: SurveyWords) -> Finding:
    headline = results.fidelity.filter("headline")
    by_verdict = {
        level: [words.heading(n) for n in headline.filter(pl.col("verdict") == level)["variable"]]
        for level in (BEYOND, DOUBTFUL)
    }
    beyond, doubtful = by_verdict[BEYOND], by_verdict[DOUBTFUL]
    text = (
        f"{len(beyond)} of {headline.height} headline amounts differ from the survey by more than "
        f"sampling explains{f' ({_few(beyond)})' if beyond else ''}"
    )
    if doubtful:
        text += f"; {len(doubtful)} more {'is' if len(doubtful) == 1 else 'are'} doubtful ({_few(doubtful)})"
    tone: Tone = "bad" if beyond else "doubt" if doubtful else "good"
    return Finding(tone, "Amounts", f"{text}.", "fidelity")


def _joint(results: StateResults) -> Finding:
    beyond = results.joint.filter("beyond")["measure"].to_list()
    if not beyond:
        text = "No joint measure differs from the survey by more than sampling explains."
        return Finding("good", "Dependence", text, "joint")
    text = f"{len(beyond)} of {results.joint.height} joint measures are beyond sampling."
    return Finding("bad", "Dependence", text, "joint")


def _few_records(results: StateResults, words: SurveyWords) -> Finding:
    rows = results.concentration.filter(pl.col("area") == STATE, pl.col("kind") == "amount")
    worst = rows.sort("largest_share", descending=True, maintain_order=True).row(0, named=True)
    text = (
        f"One household carries {percent(worst['largest_share'])} of {words.title(worst['name'])}, and "
        f"ten carry {percent(worst['top_ten_share'])}: the most of all headline totals."
    )
    spread = [j for j in results.judgements if j.check == "totals_spread"]
    passed = all(j.passed for j in spread)
    return Finding("good" if passed else "doubt", "Few records", text, "few")


def _disclosure(results: StateResults) -> Finding:
    above = results.disclosure.filter(pl.col("verdict") != NO_MORE)
    if above.is_empty():
        text = f"None of {results.disclosure.height} measures is above chance."
        return Finding("good", "Disclosure", text, "disclosure")
    found = [
        f"{DISCLOSURE_NAMES.get(m, m)} {percent(value)} against {percent(chance)} by chance ({word})"
        for m, value, chance, word in above.select(
            "measure", "value", "chance", "verdict"
        ).iter_rows()
    ]
    return Finding("doubt", "Disclosure", f"{capital('; '.join(found))}.", "disclosure")


def _few(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
