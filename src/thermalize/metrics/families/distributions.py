"""Probability densities of field values and of increments, on bins that the truth fixes."""

from __future__ import annotations

from thermalize.metrics.declared import Variable
from thermalize.metrics.distributions import density, truth_edges
from thermalize.metrics.registry import Case, Numbers, family

__all__ = ["BINS", "DENSITIES", "densities"]

BINS = {
    "field_bin": Variable(
        ("bin",), "centre of the bin of field values, in standard deviations of the truth from its mean", known=True
    ),
    "increment_bin": Variable(
        ("bin",), "centre of the bin of increments, in standard deviations of the truth's increments", known=True
    ),
}
DENSITIES = {
    "field_pdf_truth": Variable(("bin",), "probability density of field values of the truth", known=True),
    "field_pdf_rollout": Variable(("bin",), "probability density of field values of the rollout"),
    "increment_pdf_truth": Variable(("bin",), "probability density of one-step increments of the truth"),
    "increment_pdf_rollout": Variable(("bin",), "probability density of one-step increments of the rollout"),
}


@family(DENSITIES, BINS, place=50)
def densities(case: Case) -> Numbers:
    """Probability densities of field values and of increments on bins that the truth fixes."""
    result: Numbers = {}
    for name in ("field", "increment"):
        truth, rollout = (getattr(sample, name) for sample in (case.reference.reference, case.rollout.sample))
        edges = truth_edges(truth, case.config.pdf_bins)
        result[f"{name}_bin"] = 0.5 * (edges[:-1] + edges[1:])
        result[f"{name}_pdf_truth"] = density(truth, edges)
        result[f"{name}_pdf_rollout"] = density(rollout, edges)
    return result
