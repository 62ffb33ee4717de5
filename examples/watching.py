"""Watching: new generations are known as soon as they are published, and told."""

from keywright import Client, Credential


def changed(credential: Credential) -> None:
    """Called in the watcher's thread."""
    print("generation", credential.generation, "of", credential.connection)


with Client() as client, client.watch("shop/db", changed):
    print("served with generation", client.credential("shop/db").generation)
