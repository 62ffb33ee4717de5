"""Where the master key, the escrow and values from outside are, wired: the part of `wiring.py` that logs in elsewhere.

Imports are in the functions so that a start loads only what is used.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from providers.keys.file import create
from service.core.errors import Invalid, KeyMissing
from service.core.keyring import KeyWrapper
from service.core.reference import Store
from service.core.secret import Secret
from service.settings import Settings, process_environment

if TYPE_CHECKING:
    from providers.escrow import EscrowFile
    from providers.vault_login import Login, VaultSession


def key_wrapper(settings: Settings, home: str, *, may_create: bool = False) -> KeyWrapper:
    """The key wrapper that `home` names.

    Raises Invalid; KeyMissing for a key file that is not there and may not be made.
    """
    kind, _, rest = home.partition(":")
    match kind:
        case "file" if rest:
            from providers.keys.file import FileKey

            path = Path(rest).absolute()
            if not path.exists():
                if not may_create:
                    raise KeyMissing(
                        f"the master key file {path} is missing; without it nothing in the ledger can be read: "
                        "bring it back from where it was kept safe"
                    )
                # With the ledger in PostgreSQL nothing else has made the data folder.
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                create(path, secrets.token_bytes)
            return FileKey(path, secrets.token_bytes)
        case "env" if rest:
            from providers.keys.env import EnvKey

            return EnvKey(process_environment(), rest, secrets.token_bytes)
        case "aws-kms" if rest:
            from providers.keys.aws_kms import AwsKmsKey

            return AwsKmsKey(_aws(settings, "kms"), rest)
        case "transit" if "/" in rest:
            from providers.keys.transit import TransitKey

            mount, _, key = rest.rpartition("/")
            return TransitKey(_vault(settings), key, mount)
        case _:
            raise Invalid("KEYWRIGHT_KEY must be file:PATH, env:NAME, aws-kms:KEY_ID or transit:MOUNT/KEY")


def escrow_file(settings: Settings, wrapper: KeyWrapper) -> "EscrowFile | None":
    """The escrow that the settings name, not looked at yet."""
    if settings.escrow is None:
        return None
    from providers.escrow import EscrowFile

    return EscrowFile(settings.escrow.absolute(), wrapper, secrets.token_bytes)


def stores(settings: Settings) -> dict[str, Store]:
    """The stores that the settings open."""
    from providers.stores.env import EnvStore
    from providers.stores.file import FileStore

    own = [settings.data.absolute()]
    if settings.key_home.startswith("file:"):
        own.append(Path(settings.key_home.removeprefix("file:")).absolute())
    if settings.escrow:
        own.append(settings.escrow.absolute())
    found: dict[str, Store] = {
        "env": EnvStore(_without_key(settings, process_environment()), settings.env_allow),
        "file": FileStore([Path(root).absolute() for root in settings.file_roots], own),
    }
    if settings.vault_addr:
        from providers.stores.vault import VaultStore

        found["vault"] = VaultStore(_vault(settings))
    if settings.aws_region:
        from providers.stores.aws import AwsSecretsStore

        found["aws-sm"] = AwsSecretsStore(_aws(settings, "secretsmanager"))
    return found


def _without_key(settings: Settings, environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment for references: the master key is not in it, whatever the settings allow."""
    kind, _, name = settings.key_home.partition(":")
    return {k: v for k, v in environment.items() if kind != "env" or k != name}


def _vault(settings: Settings) -> "VaultSession":
    from providers.vault_login import AppRoleLogin, KubernetesLogin, TokenLogin, VaultSession

    if not settings.vault_addr:
        raise Invalid("KEYWRIGHT_VAULT_ADDR is needed")
    login: Login
    if token := settings.vault_token.get_secret_value():
        login = TokenLogin(Secret(token))
    elif settings.vault_role_id:
        login = AppRoleLogin(settings.vault_role_id, Secret(settings.vault_secret_id.get_secret_value()))
    elif settings.vault_kubernetes_role:
        login = KubernetesLogin(settings.vault_kubernetes_role)
    else:
        raise Invalid(
            "KEYWRIGHT_VAULT_ADDR is set but no way to log in there: KEYWRIGHT_VAULT_TOKEN, "
            "KEYWRIGHT_VAULT_ROLE_ID or KEYWRIGHT_VAULT_KUBERNETES_ROLE"
        )
    return VaultSession(
        settings.vault_addr, login, namespace=settings.vault_namespace or None, ca_file=settings.vault_ca
    )


def _aws(settings: Settings, service: str) -> Any:
    from providers.aws_session import AwsSession

    if not settings.aws_region:
        raise Invalid("KEYWRIGHT_AWS_REGION is needed")
    return AwsSession(service, settings.aws_region, endpoint_url=settings.aws_endpoint or None)
