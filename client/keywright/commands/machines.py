"""keywright machines: who proves to be whom, and the secrets that they prove it with."""

from typing import Annotated, Any

import typer

from keywright import names
from keywright.client import folder_query
from keywright.commands import options, screen
from keywright.errors import Unexpected

Name = Annotated[str, typer.Argument(metavar="NAME", help="The machine.")]
Allow = Annotated[
    list[str] | None, typer.Option("--allow", metavar="CIDR", help="Only from there; may be given several times.")
]


def listed(ctx: typer.Context, address: options.Address = None, as_json: options.Json = False) -> None:
    """List machines, how they prove themselves, and what they may do."""
    if ctx.invoked_subcommand is not None:
        return
    with options.place(address, None) as place:
        found = list(place.door.items("/machines"))
        if as_json:
            screen.dump(found)
            return
        columns = ["NAME", "ENABLED", "PROOFS", "GRANTS", "TOKENS LIVE", "AT MOST"]
        screen.table(columns, map(_row, found))


def add(
    name: Name,
    use: Annotated[
        list[str] | None, typer.Option("--use", metavar="FOLDER", help="May use what is in it; / for all of --env.")
    ] = None,
    ttl: Annotated[str, typer.Option("--ttl", metavar="TIME", help="How long a token lives unless renewed.")] = "1h",
    most: Annotated[str, typer.Option("--max-life", metavar="TIME", help="How long it can be made to live.")] = "24h",
    allow: Allow = None,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Make a machine with an approle. Other proofs, and other grants, are given over the API."""
    with options.place(address, environment) as place:
        body = {
            "name": names.path(name),
            "grants": [_grant(place, folder) for folder in use or ()],
            "proofs": [{"kind": "approle"}],
            "token_ttl": ttl,
            "token_max_life": most,
            "allowlist": allow or [],
        }
        made = _known(place.door.post("/machines", body).body, "name", "proofs")
        if as_json:
            screen.dump(made)
        else:
            screen.say(f"{made['name']} is made; `keywright machines secret-id {made['name']}` gives it a secret id")


def secret_id(
    name: Name,
    uses: Annotated[int, typer.Option("--uses", metavar="N", min=0, help="How often; 0 for any number of times.")] = 1,
    expires_in: Annotated[str, typer.Option("--expires-in", metavar="TIME", help="When it is over.")] = "24h",
    allow: Allow = None,
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """Make a secret id for a machine, which is shown only now."""
    with options.place(address, None) as place:
        body = {"machine": names.path(name), "uses": uses, "expires_in": expires_in, "allowlist": allow or []}
        made = _known(place.door.post("/machine-secrets", body).body, "role_id", "secret_id")
        if as_json:
            screen.dump(made)
            return
        screen.say(f"role_id   {made['role_id']}")
        screen.say(f"secret_id {made['secret_id']}")


def _grant(place: options.Place, folder: str) -> dict[str, str]:
    inside = folder_query(folder)
    on = {"kind": "folder", "path": inside} if inside else {"kind": "environment"}
    return {"level": "use", "environment": place.found.named_environment(), **on}


def _row(machine: dict[str, Any]) -> list[object]:
    proofs = ", ".join(str(proof.get("kind")) for proof in machine.get("proofs") or ())
    grants = ", ".join(_told(grant) for grant in machine.get("grants") or ())
    enabled = "yes" if machine.get("enabled") else "no"
    return [machine.get("name"), enabled, proofs, grants, machine.get("token_ttl"), machine.get("token_max_life")]


def _told(grant: dict[str, Any]) -> str:
    place = ":".join(str(grant[part]) for part in ("environment", "path") if grant.get(part))
    return f"{grant.get('level')} {place or grant.get('kind')}"


def _known(body: Any, *texts: str) -> dict[str, Any]:
    if not isinstance(body, dict) or not all(body.get(key) for key in texts):
        raise Unexpected("the server's machine has not the form that this client knows: update one of them")
    return body
