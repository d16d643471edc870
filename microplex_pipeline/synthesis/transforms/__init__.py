"""Encodings of conditions and targets, and what holds between columns."""
