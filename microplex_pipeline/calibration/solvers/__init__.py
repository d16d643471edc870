"""Numerical methods, one per file, on constraints and arrays of design weights."""
