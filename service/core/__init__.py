"""The domain: types, rules and ports. No input or output happens here."""
