"""Programs and files that follow what Keywright holds: what `keywright run` and `keywright agent` are made of."""
