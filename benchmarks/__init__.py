"""Measurements that anyone can repeat: python -m benchmarks.<name>."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
