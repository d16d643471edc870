"""Targets: the table of population totals, their sources, and the constraints that they make."""
