"""SQL as text: from characters to statements, and what each does around it."""
