"""Measurements of whole runs beside other tools; ``python benchmarks/apply.py``."""
