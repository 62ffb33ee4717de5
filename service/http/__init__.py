"""The native REST door: thin handlers, one table from errors to problem+json."""
