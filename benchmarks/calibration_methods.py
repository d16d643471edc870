"""The solvers of the calibration benchmark by name: those of this project and its peers."""

from __future__ import annotations

from functools import partial
from importlib.metadata import PackageNotFoundError, version

from benchmarks import calibration_own as own
from benchmarks import calibration_peers as peers
from benchmarks.calibration_problems import COUNTIES, SURFACE
from benchmarks.calibration_runs import Method
from benchmarks.r_survey import prepare_r, survey_version

PRODUCT = "microplex-pipeline"
R = "R survey"
# on the simulated problems, whose distances differ little
OF_SURFACES = ("ours raking", "ours raking, fit", "ours chi2", "Clarabel", "microcalibrate, tuned")
EXACT_KINDS = ("chi2", "raking", "logit")

METHODS: dict[str, Method] = {
    **{
        f"ours {kind}": Method(kind, partial(own.prepare_core, kind=kind), PRODUCT)
        for kind in EXACT_KINDS
    },
    "ours fewest": Method("sparse", own.prepare_vertex, PRODUCT),
    "ours 5 %": Method("budget", own.prepare_budget_core, PRODUCT),
    "ours conflict": Method("conflict", own.prepare_conflict, PRODUCT),
    **{
        f"ours {kind}, fit": Method(kind, partial(own.prepare_fit, kind=kind), PRODUCT)
        for kind in EXACT_KINDS
    },
    "ours margins, fit": Method("raking", own.prepare_fit_margins, PRODUCT, margins=True),
    "ours fewest, fit": Method("sparse", partial(own.prepare_fit, kind="sparse"), PRODUCT),
    "ours 5 %, fit": Method("budget", own.prepare_budget, PRODUCT),
    "scipy L-BFGS": Method("raking", peers.prepare_lbfgs, "scipy"),
    "Clarabel": Method("chi2", peers.prepare_clarabel, "clarabel"),
    "HiGHS": Method("sparse", peers.prepare_highs, "scipy"),
    "R linear": Method("chi2", partial(prepare_r, method="linear"), R),
    "R raking": Method("raking", partial(prepare_r, method="raking"), R),
    "R logit": Method("logit", partial(prepare_r, method="logit"), R),
    "R rake": Method("raking", partial(prepare_r, method="rake"), R, margins=True),
    "svy": Method("chi2", peers.prepare_svy, "svy"),
    "svy rake": Method("raking", peers.prepare_svy_rake, "svy", margins=True),
    **{
        f"python-icarus {name}": Method(
            kind, partial(peers.prepare_icarus, method=name), "python-icarus"
        )
        for name, kind in (("linear", "chi2"), ("raking", "raking"), ("logit", "logit"))
    },
    "leafblower": Method("raking", peers.prepare_leafblower, "leafblower", margins=True),
    "ipfn": Method("raking", peers.prepare_ipfn, "ipfn", margins=True),
    "microcalibrate": Method(
        "gradient",
        partial(peers.prepare_microcalibrate, epochs=32, rate=1e-3),
        "microcalibrate",
    ),
    "microcalibrate, tuned": Method(
        "gradient",
        partial(peers.prepare_microcalibrate, epochs=1000, rate=0.05),
        "microcalibrate",
    ),
    "l0-python": Method("sparse", peers.prepare_l0, "l0-python"),
}


def is_ours(method: str) -> bool:
    """Return whether a method is one of this project's."""
    return METHODS[method].package == PRODUCT


def installed_version(package: str) -> str | None:
    """Return the version of a package that a method needs, or None if it is not installed."""
    if package == R:
        return survey_version()
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def applies(problem: str, method: str) -> bool:
    """Return whether a method is run on a problem."""
    entry = METHODS[method]
    if entry.kind == "conflict":
        return "contradictory" in problem
    if "contradictory" in problem:
        core = is_ours(method) and not method.endswith(", fit")  # only fit looks for conflicts
        return not entry.margins and entry.kind != "budget" and not core
    if problem in (*COUNTIES, SURFACE):
        return method in OF_SURFACES
    return entry.margins == ("margins" in problem) or method in ("ours raking", "ours chi2")
