"""Whether every answer has its event, whatever is killed; see docs/durability.md."""
