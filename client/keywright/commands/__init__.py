"""The command `keywright`: one module for each noun, put together here."""

from collections.abc import Callable

import typer

from keywright.commands import (
    agent,
    approval,
    break_glass,
    connection,
    events,
    factor,
    grants,
    health,
    identity_provider,
    incident,
    listing,
    login,
    machines,
    people,
    process,
    restoration,
    rotation,
    stream,
    value,
    webhook,
)
from keywright.commands.endings import EPILOG
from keywright.commands.shape import Command, Group

_COMMANDS: dict[str, Callable[..., None]] = {
    "login": login.run,
    "logout": login.sign_out,
    "whoami": login.whoami,
    "get": value.get,
    "list": listing.run,
    "set": value.set_,
    "rotate": rotation.rotate,
    "rotations": rotation.rotations,
    "rotation": rotation.rotation,
    "incident": incident.incident,
    "incidents": incident.incidents,
    "incident-watch": incident.watch,
    "incident-cancel": incident.cancel,
    "incident-resume": incident.resume,
    "restoration": restoration.run,
    "stream": stream.run,
    "health": health.run,
    "run": process.run,
    "agent": agent.run,
}


_NOUNS: dict[str, tuple[str, dict[str, Callable[..., None]]]] = {
    "user": (
        "People's accounts.",
        {
            "list": people.users,
            "show": people.show_user,
            "add": people.add_user,
            "invite": people.invite,
            "enable": people.enable,
            "disable": people.disable,
            "remove": people.remove_user,
        },
    ),
    "group": (
        "Groups, and who is in them.",
        {
            "list": people.groups,
            "add": people.add_group,
            "members": people.members,
            "join": people.join,
            "part": people.part,
            "remove": people.remove_group,
        },
    ),
    "connection": (
        "What a database needs to know of a connection.",
        {"host-rules": connection.host_rules},
    ),
    "grant": ("Who may do what.", {"list": grants.listed, "add": grants.add, "remove": grants.remove}),
    "access": ("Why somebody may do something.", {"explain": grants.explain}),
    "settings": ("What holds for everybody.", {"get": grants.settings, "set": grants.set_settings}),
}
"""Nouns with commands of their own: a sentence, and the commands."""


def build() -> typer.Typer:
    """The application. Pretty exceptions are off: they would print local variables, passwords among them."""
    app = typer.Typer(
        name="keywright",
        help="Fetch values and credentials from Keywright, and turn passwords.",
        epilog=EPILOG,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    for name, command in _COMMANDS.items():
        # What follows the program's name belongs to the program, `--` or not.
        settings = {"allow_interspersed_args": False} if name == "run" else {}
        app.command(name, cls=Command, epilog=EPILOG, context_settings=settings)(command)
    app.add_typer(_approvals(), name="approval")
    app.add_typer(_glasses(), name="break-glass")
    app.add_typer(_events(), name="events")
    app.add_typer(_factors(), name="factor")
    app.add_typer(_machines(), name="machines")
    app.add_typer(_webhooks(), name="webhooks")
    for name, (told, commands) in _NOUNS.items():
        app.add_typer(_noun(told, commands), name=name)
    app.add_typer(_identity_providers(), name="identity-providers")
    return app


def _approvals() -> typer.Typer:
    """What waits for a second person."""
    group = typer.Typer(cls=Group, rich_markup_mode=None, epilog=EPILOG, help="What waits for a second person.")
    commands: dict[str, Callable[..., None]] = {
        "list": approval.listed,
        "show": approval.show,
        "ask": approval.ask,
        "approve": approval.approve,
        "refuse": approval.refuse,
        "withdraw": approval.withdraw,
        "apply": approval.apply,
    }
    for name, command in commands.items():
        # What follows is another command, with options of its own.
        settings = {"allow_interspersed_args": False} if name == "ask" else {}
        group.command(name, cls=Command, epilog=EPILOG, context_settings=settings)(command)
    return group


def _glasses() -> typer.Typer:
    group = typer.Typer(cls=Group, rich_markup_mode=None, epilog=EPILOG)
    group.callback(invoke_without_command=True)(break_glass.take)
    group.command("list", cls=Command, epilog=EPILOG)(break_glass.listed)
    group.command("end", cls=Command, epilog=EPILOG)(break_glass.end)
    return group


def _events() -> typer.Typer:
    """What lists by itself, and has commands of its own."""
    group = typer.Typer(cls=Group, rich_markup_mode=None, epilog=EPILOG)
    group.callback(invoke_without_command=True)(events.listed)
    group.command("verify", cls=Command, epilog=EPILOG)(events.verify)
    group.command("checkpoint", cls=Command, epilog=EPILOG)(events.checkpoint)
    return group


def _factors() -> typer.Typer:
    group = typer.Typer(
        cls=Group, rich_markup_mode=None, epilog=EPILOG, help="Your second factors.", no_args_is_help=True
    )
    group.command("list", cls=Command, epilog=EPILOG)(factor.listed)
    group.command("add", cls=Command, epilog=EPILOG)(factor.add)
    group.command("remove", cls=Command, epilog=EPILOG)(factor.remove)
    group.command("recovery-codes", cls=Command, epilog=EPILOG)(factor.recovery_codes)
    return group


def _machines() -> typer.Typer:
    group = typer.Typer(cls=Group, rich_markup_mode=None, epilog=EPILOG)
    group.callback(invoke_without_command=True)(machines.listed)
    group.command("add", cls=Command, epilog=EPILOG)(machines.add)
    group.command("secret-id", cls=Command, epilog=EPILOG)(machines.secret_id)
    return group


def _noun(told: str, commands: dict[str, Callable[..., None]]) -> typer.Typer:
    group = typer.Typer(cls=Group, rich_markup_mode=None, epilog=EPILOG, help=told, no_args_is_help=True)
    for name, command in commands.items():
        group.command(name, cls=Command, epilog=EPILOG)(command)
    return group


def _webhooks() -> typer.Typer:
    """As `events`."""
    group = typer.Typer(cls=Group, rich_markup_mode=None, epilog=EPILOG)
    group.callback(invoke_without_command=True)(webhook.listed)
    commands: dict[str, Callable[..., None]] = {
        "add": webhook.add,
        "change": webhook.change,
        "delete": webhook.delete,
        "secret": webhook.secret,
        "deliveries": webhook.deliveries,
        "replay": webhook.replay,
        "test": webhook.try_,
    }
    for name, command in commands.items():
        group.command(name, cls=Command, epilog=EPILOG)(command)
    return group


def _identity_providers() -> typer.Typer:
    """As `events`."""
    group = typer.Typer(cls=Group, rich_markup_mode=None, epilog=EPILOG)
    group.callback(invoke_without_command=True)(identity_provider.listed)
    commands: dict[str, Callable[..., None]] = {
        "add": identity_provider.add,
        "add-saml": identity_provider.add_saml,
        "show": identity_provider.show,
        "set": identity_provider.set_,
        "check": identity_provider.check,
        "delete": identity_provider.delete,
    }
    for name, command in commands.items():
        group.command(name, cls=Command, epilog=EPILOG)(command)
    return group
