"""Fitting within a privacy budget."""
