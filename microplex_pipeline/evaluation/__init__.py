"""Evaluation of what was built: targets met, weights, charts. Functions on frames; no Dagster."""
