"""The shape of every command: how it reads its arguments, and how its errors end it."""

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from keywright.commands.endings import fail, fail_usage
from keywright.errors import KeywrightError


class Command(TyperCommand):
    """A command that never repeats an argument it did not ask for, and ends by the table in `endings`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer, but surplus arguments are counted, not quoted: one may be a value, typed where none belongs."""
        ctx.allow_extra_args = True
        as_json = "--json" in args  # before parsing, which uses the list up
        surplus = super().parse_args(ctx, args)
        if surplus and not ctx.resilient_parsing:
            fail_usage(
                f"{ctx.command_path} got {len(surplus)} arguments too many (not repeated here, one may be secret): "
                f"see `{ctx.command_path} --help`",
                as_json,
            )
        return surplus

    def invoke(self, ctx: Any) -> Any:
        """As typer, with Keywright's errors told in one line or as JSON."""
        try:
            return super().invoke(ctx)
        except KeywrightError as error:
            fail(error, bool(ctx.params.get("as_json")))
        except typer.BadParameter as error:
            fail_usage(error.message, bool(ctx.params.get("as_json")))


class Group(TyperGroup):
    """A command that has commands of its own; ends by the same table."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer, without repeating what is none of its commands."""
        if args and self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            fail_usage(
                f"{ctx.command_path} has no such command (not repeated here, it may be secret): see "
                f"`{ctx.command_path} --help`",
                "--json" in args or bool(ctx.params.get("as_json")),
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """As `Command`."""
        try:
            return super().invoke(ctx)
        except KeywrightError as error:
            fail(error, bool(ctx.params.get("as_json")))
        except typer.BadParameter as error:
            fail_usage(error.message, bool(ctx.params.get("as_json")))
