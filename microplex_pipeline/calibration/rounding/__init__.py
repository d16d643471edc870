"""Controlled rounding: whole weights whose totals keep to the controls."""
