"""A certificate for the loopback and the authority that signed it, the same kind for both servers (EC, P-256)."""

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificate:
    """Files in PEM."""

    ca: Path
    chain: Path
    key: Path


def issued(folder: Path) -> Certificate:
    """A new one."""
    made = Certificate(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    authority = trustme.CA()
    signed = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(made.ca)
    made.key.touch(0o600)
    signed.private_key_pem.write_to_path(made.key)
    for link in signed.cert_chain_pems:
        link.write_to_path(made.chain, append=True)
    return made
