"""Measure kerasmagic beside its peers: ``python -m benchmarks --help``."""
