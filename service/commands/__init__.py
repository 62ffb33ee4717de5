"""What `keywrightd` does, where that is more than one module holds: `service/__main__.py` puts it together."""
