"""Whether the SQL migrations of a running site are in order: a view, and a check for django-health-check."""
