"""The SCIM door: identity providers keep users and groups by it (RFC 7643, RFC 7644), at `/scim/v2`.

    door.py       one request: who asks, the body, the answer, errors as SCIM has them
    limits.py     what no directory asks: filters that are too long or too deep
    dialects.py   what providers send otherwise than the RFC has it
    provider.py   what there is, as /ServiceProviderConfig, /ResourceTypes and /Schemas tell it
    storage.py    what scim2-server asks of a storage, by the keeper
    users.py      a user of RFC 7643 and one of ours         groups.py    the same of groups

The protocol itself (paths, PATCH, filters, attributes, bulk, preconditions) is done by scim2-server and scim2-models.
It is not in the OpenAPI document of the native door: its contract is the RFCs, and `docs/scim.md` says how far it goes.
"""
