"""What Django's own migrations know of the package."""
