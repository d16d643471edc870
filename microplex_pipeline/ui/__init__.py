"""Dagster's UI and daemon, accessible from this computer only."""
