"""Whether answers could have been given one after the other: many replicas, one ledger; see docs/durability.md."""
