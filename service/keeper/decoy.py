"""A decoy: a signer that nobody is, so that a signature is verified for a machine that does not exist, too."""

from service.core.proof import Signer

_RSA = """\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvZphxo2kCsYUOxp5vrTQ
g4DVmH546ct/cggFAdLpA8hwFXQBU5vnFiO8WH8d2/v+NpgFZHmPw2BSCEs8cGy9
5M7kLYX38tmTKwRkH/lk1niJEN6LtkpN8YItk+a3v4WHbXT1nMLfZSQRSE479bFZ
YyQ85g7IqSgzJuDLnuSOK3aUsnANYAkRbWX1lQJx9kLVFYSL1BO9bSgC1iPX1O+P
mEYVkKSu4JtHhoNNA+l5oslbIdNlK0DqeOE2lUpV0LD1ZI4heVBQehwAvGyT9S0N
3GfDw87W0DuuFhOxgCpFLeBwQlVpLolTz/ygLNtVb22wUWLWjBes/XCMOPQgr0uA
YwIDAQAB
-----END PUBLIC KEY-----
"""
_EC = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDPqnnfSSmvuOIW4CXh+qudwYvTzE
bT4DPyJRK6UnghdCSvgSgYLHJRXb7EewmnpDHWM6xaPBuGhUSdYJ2ZHkIw==
-----END PUBLIC KEY-----
"""
DECOY = Signer("urn:keywright:nobody", (_RSA, _EC), algorithms=("RS256", "ES256"))
"""Public keys whose private halves were thrown away; what they sign would be refused all the same."""
