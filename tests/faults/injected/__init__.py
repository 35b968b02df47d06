"""An app of a test site that makes its process go wrong in a chosen way."""
