"""What becomes of a statement that began outside a transaction and did not end."""
