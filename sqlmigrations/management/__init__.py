"""The faces of the package that people type."""
