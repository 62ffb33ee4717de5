"""`keywrightd events`: the audit log, by hand."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from service.commands import kept
from service.commands.progress import progress
from service.commands.shape import Data, Json, say, settings, with_service
from service.core.errors import Invalid, KeywrightError

app = typer.Typer(no_args_is_help=True, help="The audit log.")

BROKEN = 3
"""The exit code for a chain that is broken, or an index that differs from it."""


def moment(text: str) -> datetime:
    """A date or a time, as RFC 3339 has it; of UTC where it does not say its zone. Raises BadParameter."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter("a date or a time is needed: 2026-11-22, or 2026-11-22T12:00:00Z") from None


def length(text: str) -> timedelta:
    """A duration. Raises BadParameter."""
    from service.core.schedule import duration

    try:
        return duration(text, "it")
    except Invalid as error:
        raise typer.BadParameter(error.message) from None


Moment = Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME")]


@app.command()
def verify(
    data: Data = None,
    as_json: Json = False,
    end: Annotated[str | None, typer.Option(help="An end noted earlier: finds a tail that was cut since.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="The same, against an exported checkpoint.")] = None,
    index: Annotated[bool, typer.Option("--index", help="Hold the log's query index against it, too.")] = False,
) -> None:
    """Follow the chain of events from its beginning: finds what was changed, removed or reordered."""
    if end and checkpoint:
        raise typer.BadParameter("give --end or --checkpoint")
    try:
        told = checkpoint.read_text(encoding="utf-8") if checkpoint else None
    except (OSError, UnicodeDecodeError) as error:
        raise KeywrightError(f"{checkpoint} cannot be read ({type(error).__name__})") from None

    def act(service: Any) -> int:
        from service.keeper.tokens import OPERATOR

        follow = service.keeper.events.verify_against if told else service.keeper.events.verify
        with progress("verifying") as tell:
            proof = follow(OPERATOR, told or end, tell, index=index)
        whole = proof.broken_at is None
        text = f"{proof.finding}: {proof.events} events, end {proof.end}"
        if whole and proof.index is not None:
            text += "\n" + (proof.index or "the query index has what the log has")
        say(as_json, {"whole": whole, **vars(proof)}, text)
        return BROKEN if proof.index or not whole else 0

    raise typer.Exit(with_service(settings(data), act))


@app.command()
def checkpoint(data: Data = None) -> None:
    """Where the chain has come to, signed, as JSON: keep it where the ledger's owner cannot write."""

    def act(service: Any) -> None:
        from service.keeper.tokens import OPERATOR

        say(True, vars(service.keeper.events.checkpoint(OPERATOR)), "")

    with_service(settings(data), act)


@app.command()
def reindex(data: Data = None, as_json: Json = False) -> None:
    """Build the log's query index anew. Until that is done, questions are answered in part, and rotations wait.

    It may run beside the server. Interrupted, whoever serves goes on with it.
    """

    def act(service: Any) -> None:
        from service.keeper.tokens import OPERATOR

        with progress("indexing") as tell:
            number = service.keeper.events.reindex(OPERATOR, tell)
        say(as_json, {"events": number}, f"the query index was built anew: {number} events")

    with_service(settings(data), act)


@app.command("list")
def list_(
    data: Data = None,
    as_json: Json = False,
    actor: str = "",
    action: str = "",
    resource: str = "",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
) -> None:
    """The latest events, the youngest first."""

    def act(service: Any) -> None:
        from service.keeper.tokens import OPERATOR
        from service.ledger.questions import Question

        question = Question(actor=actor, action=action, resource=resource, limit=limit)
        for event in service.keeper.events.ask(OPERATOR, question):
            where = f"{event['environment']}:{event['resource']}" if event["environment"] else event["resource"]
            say(
                as_json,
                event,
                f"{event['id']:>8} {event['at'][:23]} {event['outcome']:8} {event['name']} {event['action']} {where}",
            )

    with_service(settings(data), act)


@app.command()
def export(
    data: Data = None,
    since: Moment = None,
    until: Moment = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A new file; standard output otherwise.")
    ] = None,
) -> None:
    """Every event, the oldest first, one JSON object a line; `id` is its number.

    With --since or --until the log's index tells where to look: `events verify --index` shows whether it has all.
    """

    def act(service: Any) -> None:
        from service.keeper.tokens import OPERATOR

        opened: AbstractContextManager[IO[str]] = nullcontext(sys.stdout) if out is None else kept.new_file(out)
        with progress("exporting") as tell, opened as file:
            kept.write(file, service.keeper.events.export(OPERATOR, since, until, tell))
            file.flush()

    with_service(settings(data), act)


@app.command()
def prune(
    data: Data = None,
    as_json: Json = False,
    before: Moment = None,
    keep: Annotated[
        timedelta | None,
        typer.Option(parser=length, metavar="DURATION", help="Such as 400d; KEYWRIGHT_EVENTS_KEEP otherwise."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write them to the end of this file first, one a line."),
    ] = None,
) -> None:
    """Remove the oldest events, as far as a checkpoint reaches that was exported.

    The chain of the others still verifies. Safe to interrupt: run it again.
    """
    if before and keep:
        raise typer.BadParameter("give --before or --keep")
    found = settings(data)
    if not before and not (keep or found.events_kept):
        raise typer.BadParameter("give --before or --keep, or set KEYWRIGHT_EVENTS_KEEP")

    def act(service: Any) -> None:
        from service.keeper.tokens import OPERATOR

        retention = service.keeper.retention
        wanted = before or retention.older_than(keep or found.events_kept)
        plan = retention.plan(OPERATOR, wanted)
        reached = plan.pruned
        if not dry_run:
            with progress("pruning") as tell, _kept(export) as keeps:
                for reached in retention.prune(OPERATOR, wanted, keeps):
                    tell(reached - plan.pruned, plan.events)
        number = plan.events if dry_run else reached - plan.pruned
        upto = plan.upto if dry_run else reached
        said = {"dry_run": dry_run, "events": number, "upto": upto, "before": plan.before, "why": plan.why}
        text = f"{number} events {'would be' if dry_run else 'were'} pruned; the log begins behind event {upto}"
        say(as_json, said, text + (f" ({plan.why})" if plan.why else ""))

    with_service(found, act)


def _kept(file: Path | None) -> AbstractContextManager[Callable[[list[dict[str, Any]]], None] | None]:
    return nullcontext() if file is None else kept.keeping(file)
