"""The example site: the smallest real Django project that uses sqlmigrations."""
