"""Tests by the rows of a list of faults: what goes wrong around a run, and what is left of it afterwards."""
