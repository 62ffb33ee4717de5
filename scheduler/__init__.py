"""The scheduler: what turns passwords when nobody is looking."""
