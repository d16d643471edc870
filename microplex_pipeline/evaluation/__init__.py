"""Evaluation of synthetic and calibrated records: targets, weights, fidelity, disclosure risk.

Functions of data frames; nothing here uses Dagster.
"""
