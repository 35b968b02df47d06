"""Commands of the injected app."""
