"""Hostile input: what scanner, parser and loader promise for any of it, and the programs that look for exceptions."""
