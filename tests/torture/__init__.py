"""Rotation under torture: processes are killed and paused, connections cut, and everybody must still log in."""
