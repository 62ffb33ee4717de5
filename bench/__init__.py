"""How fast Keywright is: figures and ratios measured in one run, on loopback. `make bench`."""
