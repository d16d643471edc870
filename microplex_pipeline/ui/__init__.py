"""Dagster's pages and daemon for this computer alone."""
