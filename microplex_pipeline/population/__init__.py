"""The chain of one state as functions: survey in, synthetic calibrated records and their replicates out.

It puts survey, synthesis and calibration together. Nothing here uses Dagster.
"""
