"""The privacy budget of a synthesizer: what a differentially private fit may spend, and what it spent."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from microplex_pipeline.synthesis.input_checks import LARGEST_AMOUNT, MIN_TRAINING_RECORDS
from microplex_pipeline.synthesis.stored_form import Stored

Bound = Annotated[float, Field(ge=-LARGEST_AMOUNT, le=LARGEST_AMOUNT)]
LARGEST_EPSILON = 100.0
MOST_RECORDS = 10**10
MOST_NOISE = 1e6
ROUNDS = 30  # of bisection
# orders of the Renyi divergence: small epsilons need large ones
ORDERS = [1.25, 1.5, 1.75, 2.5, *range(2, 64), 64, 96, 128, 192, 256, 512]


class Mechanism(NamedTuple):
    """One use of the Gaussian mechanism.

    Attributes
    ----------
    noise_multiplier : standard deviation of the noise over what one record can change.
    sample_rate : probability with which a record takes part in a step.
    steps : number of times that it was used.
    """

    noise_multiplier: Annotated[float, Field(ge=0, le=MOST_NOISE)]
    sample_rate: Annotated[float, Field(ge=0, le=1)]
    steps: Annotated[int, Field(ge=0, le=MOST_RECORDS)]


class PrivacyBudget(BaseModel):
    """What a differentially private fit may spend, and what is publicly known of the columns.

    Whatever the fit would learn from the records without noise has to be given: the range of every number and
    the categories of everything else. Take them from the questionnaire, never from the records.

    Attributes
    ----------
    epsilon, delta : the fitted model is (epsilon, delta)-differentially private for adding or removing
        one record (Dwork and Roth 2014, The Algorithmic Foundations of Differential Privacy, definition 2.4).
    records : the number of records, as published, e.g. 60_000; it need not be exact. delta must be below
        1 / records.
    bounds : smallest and largest possible value of each number, (0, largest weight) of the weights.
    categories : the possible values of each category, text or truth value.
    margin_share : share of epsilon that the distributions of single columns would take alone; the networks
        get what is left.
    max_gradient_norm : the gradient of a record is scaled down to this length.
    noise_seed : None draws the noise from the system's random numbers. Whoever knows a seed can take the
        noise away, so that a seed is for tests.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epsilon: float = Field(gt=0, le=LARGEST_EPSILON)
    delta: float = Field(gt=0, lt=1)
    records: int = Field(ge=MIN_TRAINING_RECORDS, le=MOST_RECORDS)
    bounds: dict[str, tuple[Bound, Bound]]
    categories: dict[str, tuple[bool | int | str, ...]] = Field(default_factory=dict)
    margin_share: float = Field(0.2, gt=0, lt=1)
    max_gradient_norm: float = Field(20.0, gt=0)
    noise_seed: int | None = Field(None, ge=0, lt=2**63)

    @field_validator("bounds")
    @classmethod
    def _bounds_increase(
        cls, bounds: dict[str, tuple[float, float]]
    ) -> dict[str, tuple[float, float]]:
        for name, (low, high) in bounds.items():
            if low >= high:
                raise ValueError(f"bounds of {name!r} must increase, not ({low:g}, {high:g})")
        return bounds

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.delta >= 1 / self.records:
            raise ValueError(
                f"delta {self.delta:g} is too large: {self.records:,} records need one below "
                f"{1 / self.records:.1g}"
            )
        for name, categories in self.categories.items():
            if not categories or len(set(categories)) < len(categories):
                raise ValueError(f"categories of {name!r} must differ, and there must be one")
            if len({type(category) for category in categories}) > 1:
                raise ValueError(f"categories of {name!r} must be of one type")
        if both := sorted(self.bounds.keys() & self.categories.keys()):
            raise ValueError(f"{both[0]!r} has both bounds and categories")
        return self

    def scaled(self, data: pl.DataFrame, weight_col: str | None) -> np.ndarray:
        """Return the weights of records over the largest possible one, (n,), between 0 and 1.

        Raises
        ------
        ValueError
            If the budget has no bounds of the weights, or a weight lies outside of them.
        """
        if weight_col is None:
            return np.ones(data.height)
        if weight_col not in self.bounds:
            raise ValueError(
                f"the privacy budget has no bounds of the weights {weight_col!r}: one record counts as much "
                "as the largest possible weight, which must be given"
            )
        largest = self.bounds[weight_col][1]
        weights = data[weight_col].cast(pl.Float64).to_numpy()
        if weights.max() > largest:
            raise ValueError(
                f"a weight in {weight_col!r} is larger than {largest:g}, the privacy budget's largest"
            )
        return weights / largest

    def margins(self, uses: int) -> Mechanism:
        """Return the noise of so many counts of the records, which alone take `margin_share` of epsilon."""
        share = self.margin_share * self.epsilon
        return _least_noise(Mechanism(0.0, 1.0, uses), [], share, self.delta)

    def training(self, before: Mechanism, sample_rate: float, steps: int) -> Mechanism:
        """Return the noise of the training steps that spends what `before` has left of the budget."""
        mechanism = Mechanism(0.0, sample_rate, steps)
        return _least_noise(mechanism, [before], self.epsilon, self.delta)


class PrivacySpent(BaseModel):
    """What a fit spent, in the synthesizer's file.

    Attributes
    ----------
    epsilon, delta : of margins and training together, by the accountant.
    unit : whose presence is protected.
    accountant : how the mechanisms were composed (Mironov 2017, Renyi Differential Privacy).
    margins, training : the mechanisms.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epsilon: float = Field(ge=0)
    delta: float = Field(gt=0, lt=1)
    unit: str = Field("record", pattern="record")
    accountant: str = Field("rdp", pattern="rdp")
    margins: Mechanism
    training: Mechanism

    @classmethod
    def of(cls, delta: float, margins: Mechanism, training: Mechanism) -> Self:
        """Account for both mechanisms."""
        epsilon = spent([margins, training], delta)
        return cls(epsilon=epsilon, delta=delta, margins=margins, training=training)

    def __str__(self) -> str:
        """The guarantee in words."""
        return f"epsilon={self.epsilon:.3g}, delta={self.delta:.3g} per {self.unit}"


class StoredPrivacy(Stored):
    """A budget and what was spent of it, in the synthesizer's file. The seed of the noise is not."""

    budget: PrivacyBudget
    spent: PrivacySpent

    @classmethod
    def of(cls, budget: PrivacyBudget | None, spent: PrivacySpent | None) -> dict[str, Any] | None:
        """Return the form to write; None without a budget."""
        if budget is None or spent is None:
            return None
        return {
            "budget": budget.model_dump(mode="json", exclude={"noise_seed"}),
            "spent": spent.model_dump(mode="json"),
        }


def spent(mechanisms: Sequence[Mechanism], delta: float) -> float:
    """Return the epsilon of mechanisms that are used one after the other, by Renyi accounting."""
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = [tuple(mechanism) for mechanism in mechanisms]
    with warnings.catch_warnings():
        # a bound from the first or last order is a bound, if not the tightest
        warnings.filterwarnings("ignore", "Optimal order is the", UserWarning)
        return accountant.get_epsilon(delta, alphas=ORDERS)


def _least_noise(
    mechanism: Mechanism, before: Sequence[Mechanism], epsilon: float, delta: float
) -> Mechanism:
    """Return the mechanism with the least noise with which all together spend at most epsilon.

    Raises
    ------
    ValueError
        If no noise is enough.
    """

    def left(noise: float) -> float:
        return epsilon - spent([*before, mechanism._replace(noise_multiplier=noise)], delta)

    low, high = 1e-2, MOST_NOISE
    if left(high) < 0:
        raise ValueError(
            f"epsilon {epsilon:g} at delta {delta:g} is too small for {mechanism.steps} uses of the data: "
            "give a larger one"
        )
    for _ in range(ROUNDS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if left(middle) >= 0 else (middle, high)
    return mechanism._replace(noise_multiplier=high)
