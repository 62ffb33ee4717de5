"""Rules."""


def checked(text: str) -> str:
    """As it is."""
    return text
