"""Numerical methods, one a file: each takes arrays of rows, targets and design weights."""
