"""`keywrightd`: the server's command.

Exit codes: 0 done; 1 something failed (one line on standard error says what); 2 wrong usage;
3 the chain of events is broken; 4 the demo saw a failed login or too few rotations.
"""

import json
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from service.commands import events
from service.commands.shape import Data, Json
from service.commands.shape import say as _say
from service.commands.shape import settings as _settings
from service.commands.shape import with_service as _with_service
from service.core.errors import KeywrightError, Unavailable

app = typer.Typer(
    name="keywrightd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they print local variables
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 broken chain or index of events, 4 the demo saw a failure.",
)
keys = typer.Typer(no_args_is_help=True, help="Data keys and the master key.")
escrow = typer.Typer(no_args_is_help=True, help="The second way in to administration logins, without a ledger.")
app.add_typer(keys, name="keys")
app.add_typer(events.app, name="events")
app.add_typer(escrow, name="escrow")


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"keywrightd {metadata.version('keywright-server')}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[  # told before anything else
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version, and end.")
    ] = False,
) -> None:
    """The Keywright server. Settings are environment variables KEYWRIGHT_…; see `keywrightd settings`."""


def main() -> None:
    """The command's entry: errors are one line on standard error."""
    os.umask(0o077)  # the ledger, its WAL and the key file are nobody else's business
    try:
        app()
    except KeywrightError as error:
        place = f": {error.place}" if isinstance(error, Unavailable) and error.place else ""
        print(f"keywrightd: {error.message}{place}", file=sys.stderr)
        sys.exit(1)


@app.command()
def init(data: Data = None, as_json: Json = False) -> None:
    """Make the ledger, the master key file, and the first owner's token, which is shown once."""

    def act(service: Any) -> None:
        token = service.keeper.tokens.first()
        if token is None:
            raise KeywrightError(
                "the ledger has tokens already; a lost owner's token is replaced by `keywrightd owner`"
            )
        home = service.settings.key_home
        text = (
            f"ledger     {_place(service.settings)}\nmaster key {home}\nowner      {token.reveal()}   (shown only now)"
        )
        _say(as_json, {"ledger": _place(service.settings), "key": home, "token": token.reveal()}, text)

    _with_service(_settings(data), act, new_ledger=True)


def _place(settings: Any) -> str:
    url = str(settings.ledger_url)
    return url if url.startswith("sqlite") else "PostgreSQL (KEYWRIGHT_LEDGER)"


@app.command()
def serve(
    data: Data = None,
    listen: Annotated[str | None, typer.Option(help="ADDRESS:PORT; KEYWRIGHT_LISTEN otherwise.")] = None,
) -> None:
    """Serve, and rotate. A new ledger is made on the way, and its first owner's token shown once."""
    from service.serving import serve as run

    run(_settings(data, **({"listen": listen} if listen else {})))


@app.command()
def scheduler(data: Data = None) -> None:
    """Rotate without serving; needs a ledger in PostgreSQL."""
    from scheduler.__main__ import run

    run(_settings(data))


@app.command()
def demo(
    seconds: Annotated[int, typer.Option(min=5, max=3600, help="How long.")] = 30,
) -> None:
    """Watch passwords turn: a PostgreSQL of its own, a Keywright, and three applications that keep logging in."""
    from service.demo import run

    sys.exit(run(seconds))


@app.command()
def migrate(data: Data = None, as_json: Json = False) -> None:
    """Bring an older ledger to this program's revision. Take a copy first."""
    from service.ledger import schema
    from service.wiring import open_ledger

    ledger = open_ledger(_settings(data))
    try:
        before = schema.revision(ledger)
        schema.migrate(ledger)
        after = schema.revision(ledger)
    finally:
        ledger.close()
    _say(as_json, {"from": before, "to": after}, f"ledger: {before or 'empty'} → {after}")


@app.command(name="settings")
def show_settings(as_json: Json = False) -> None:
    """Every setting with its meaning and its default."""
    from service.settings import PREFIX, Settings

    rows = [
        {"name": PREFIX + name.upper(), "meaning": field.description or "", "default": _default(field.default)}
        for name, field in Settings.model_fields.items()
    ]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['name']:34} {row['default'] or '-':18} {row['meaning']}")


def _default(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None or "SecretStr" in type(value).__name__ else str(value)


@app.command()
def owner(
    name: Annotated[str, typer.Argument(help="A person's e-mail address; or a name for a token.")],
    drop_factors: Annotated[
        bool, typer.Option("--drop-factors", help="The person's second factors are lost: they count no more.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make an owner, or let one in again: the way back in for whoever holds the ledger and the master key."""

    def person(service: Any) -> None:
        from service.http.passwords import PAGE
        from service.keeper.tokens import OPERATOR

        made = service.keeper.invitations.owner(OPERATOR, name, drop_factors=drop_factors)
        text, until = made.text.reveal(), made.expires_at.isoformat(timespec="seconds")
        where = f"{service.settings.public_url}{PAGE}"
        said = {"email": made.user.email, "new": made.new, "invitation": text, "expires_at": until, "address": where}
        lines = [
            f"owner       {made.user.email} ({'new' if made.new else 'let in again'})",
            f"invitation  {text}   (shown only now; good once, until {until})",
            f"type it in  {where}",
        ]
        _say(as_json, said, "\n".join(lines))

    def token(service: Any) -> None:
        from service.keeper.granting import WantedGrant
        from service.keeper.tokens import OPERATOR

        wanted = (WantedGrant("own", "everything", None, ""),)
        _, _, text = service.keeper.tokens.add(OPERATOR, name, wanted, None, ())
        _say(as_json, {"name": name, "token": text.reveal()}, f"{text.reveal()}   (shown only now)")

    if drop_factors and "@" not in name:
        raise typer.BadParameter("--drop-factors goes with a person's e-mail address")
    _with_service(_settings(data), person if "@" in name else token)


@app.command()
def restored(
    reason: Annotated[str, typer.Option(help="What was brought back, and from when.")] = "",
    show: Annotated[bool, typer.Option("--list", help="Only show what the latest restoration found.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Say that the ledger came back from a copy: rotations are held until every login was probed."""
    if bool(reason) == show:
        raise typer.BadParameter("give --reason, or --list to see what was found")

    def act(service: Any) -> None:
        from service.keeper.tokens import OPERATOR

        keeper = service.keeper.restorations
        if not show:
            it, new = keeper.begin(OPERATOR, reason)
            state = "begun" if new else "under way already"
            said = {"restoration": it.restoration.id, "begun": new, **_counts(it)}
            text = f"restoration {it.restoration.id} {state}: {_counted(it)}; a server that runs probes them"
            _say(as_json, said, text)
            return
        for it in keeper.listed(OPERATOR, "", 1):
            state = "ended" if it.restoration.ended_at else "under way, rotations are held"
            if not as_json:
                print(f"restoration {it.restoration.id} {state}: {_counted(it)}: {it.restoration.reason}")
            for found in keeper.findings(OPERATOR, it.restoration.id, None, ("", ""), 1_000_000):
                said = {
                    "environment": found.environment,
                    "connection": found.connection,
                    "finding": found.finding.value,
                    "sentence": found.sentence,
                }
                _say(as_json, said, f"{found.finding.value:8} {found.environment} {found.connection}: {found.sentence}")

    _with_service(_settings(data), act)


def _counts(it: Any) -> dict[str, int]:
    from service.core.restoration import Finding

    return {finding.value: it.counts.get(finding, 0) for finding in Finding}


def _counted(it: Any) -> str:
    return ", ".join(f"{number} {finding}" for finding, number in _counts(it).items() if number) or "no connections"


@keys.command("new")
def keys_new(path: Annotated[Path, typer.Argument(help="Where; it must not exist.")], as_json: Json = False) -> None:
    """Make a master key file (mode 0600), for KEYWRIGHT_KEY=file:PATH or for `keys rewrap`."""
    import secrets

    from providers.keys.file import create

    if path.exists():
        raise KeywrightError(f"{path} exists already; a master key is never overwritten")
    create(path.absolute(), secrets.token_bytes)
    _say(as_json, {"key": f"file:{path.absolute()}"}, f"master key  file:{path.absolute()}: keep a copy of it apart")


@keys.command("rotate")
def keys_rotate(
    environment: Annotated[str | None, typer.Argument(help="All environments when left out.")] = None,
    data: Data = None,
    as_json: Json = False,
    resume: Annotated[bool, typer.Option(help="Only finish an interrupted re-sealing; make no new key.")] = False,
) -> None:
    """A new data key for what is new, then re-seal what is old. Safe to interrupt: run it again with --resume."""

    def act(service: Any) -> None:
        from service.keeper.tokens import OPERATOR

        found = service.keeper.environments.listed(OPERATOR, "", 100_000)
        names = [environment] if environment else [e.name for e in found]
        for name in names:
            ring = service.keeper.keyrings
            for progress in ring.reseal(OPERATOR, name) if resume else ring.rotate(OPERATOR, name):
                state = "done" if progress.done else "…"
                said = {"environment": name, "resealed": progress.resealed, "done": progress.done}
                _say(as_json, said, f"{name}: {progress.resealed} re-sealed {state}")

    _with_service(_settings(data), act)


@keys.command("rewrap")
def keys_rewrap(
    to: Annotated[str, typer.Argument(help="The new home: file:PATH, env:NAME, aws-kms:KEY_ID, transit:MOUNT/KEY.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Wrap every data key under a new master key; afterwards KEYWRIGHT_KEY must name it."""
    settings = _settings(data)

    def act(service: Any) -> None:
        from service.homes import escrow_file, key_wrapper
        from service.keeper.tokens import OPERATOR

        new = key_wrapper(settings, to, may_create=True)
        # First: interrupted after it, this command is simply run again.
        if kept := escrow_file(settings, key_wrapper(settings, settings.key_home)):
            kept.rewrap(new)
        count = service.keeper.keyrings.rewrap(OPERATOR, new)
        text = f"{count} data keys are under {to} now; set KEYWRIGHT_KEY={to} and restart"
        _say(as_json, {"keys": count, "to": to}, text)

    _with_service(settings, act)


def _escrowed(settings: Any) -> Any:
    from service.homes import escrow_file, key_wrapper

    kept = escrow_file(settings, key_wrapper(settings, settings.key_home))
    if kept is None:
        raise KeywrightError("there is no escrow: KEYWRIGHT_ESCROW names no file")
    if warning := kept.exposed():
        print(f"keywrightd: {warning}: {settings.escrow}", file=sys.stderr)
    return kept.entries()


def _escrow_line(entry: Any) -> str:
    where = f"{entry.server}/{entry.database}"
    return f"{entry.environment}:{entry.connection} {where} {entry.written_at.isoformat(timespec='seconds')}"


@escrow.command("list")
def escrow_list(data: Data = None, as_json: Json = False) -> None:
    """Which connections the escrow file keeps, and since when; no password."""
    for entry in _escrowed(_settings(data)):
        said = {key: value for key, value in vars(entry).items() if key != "accounts"}
        _say(as_json, said, _escrow_line(entry))


@escrow.command("open")
def escrow_open(
    name: Annotated[str, typer.Argument(help="A connection, or ENVIRONMENT:CONNECTION.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show the user names and passwords that are kept of a connection; try them in their order."""
    entries = [e for e in _escrowed(_settings(data)) if name in (e.connection, f"{e.environment}:{e.connection}")]
    if not entries:
        raise KeywrightError(f"the escrow keeps nothing of {name}")
    for entry in entries:
        accounts = [
            {"standing": held.standing, "username": held.account.username, "password": held.account.password.reveal()}
            for held in entry.accounts
        ]
        rows = [f"  {each['standing']:9} {each['username']}  {each['password']}" for each in accounts]
        text = "\n".join([_escrow_line(entry), *rows])
        _say(as_json, vars(entry) | {"accounts": accounts}, text)


if __name__ == "__main__":
    main()
