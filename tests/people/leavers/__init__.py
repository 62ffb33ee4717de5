"""Whoever is disabled, or loses what it held, is out at the very next request, on every replica, with all it has."""
