"""People signing in."""
