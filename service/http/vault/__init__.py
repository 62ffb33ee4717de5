"""The Vault door: the HTTP API of HashiCorp Vault and OpenBao, as far as their clients need it to fetch and to keep.

A door, not a second house: the same keeper, grants, events and limits as the native one. A KV secret is a variable, a
static role is a connection, a token is a token; what cannot honestly be said in Vault's words is refused.
"""
