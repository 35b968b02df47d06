"""Measurements beside other tools, one module per question; ``python -m benchmarks`` asks them all."""
