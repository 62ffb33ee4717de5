"""Identity providers: they are asked who somebody is."""
