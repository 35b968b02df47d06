"""The database: connections of ours, what is asked of the server, and how it answers."""
