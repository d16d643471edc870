"""Benchmarks against peers, on open cases; each prints its table by one command."""
