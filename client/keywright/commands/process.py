"""keywright run: a program with values of Keywright, and nothing on disk."""

import os
import time
from collections.abc import Mapping
from typing import Annotated, NoReturn

import typer

from keywright import discovery
from keywright.agent import signals, subject
from keywright.agent.child import OnChange, Rules
from keywright.agent.passing import PassAs, Passing
from keywright.agent.processes import CannotRun, cannot_run
from keywright.agent.run import Program, Run
from keywright.agent.subject import Known, Subject
from keywright.agent.watch import Asking
from keywright.commands import options, screen
from keywright.injection import Entries


def run(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="The program and its arguments, after `--`.")],
    folder: Annotated[
        str | None, typer.Option("--folder", metavar="F", help="The variables in this folder (else all).")
    ] = None,
    names: Annotated[str | None, typer.Option("--names", metavar="A,B", help="These variables.")] = None,
    connection: Annotated[
        str | None, typer.Option("--connection", metavar="C", help="This connection's DATABASE_URL, DB_HOST, …")
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", metavar="P", help="Put before a connection's names.")] = "",
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow", metavar="NAME", help="A variable may become NAME, such as PATH, all the same; repeated."
        ),
    ] = None,
    pass_token: Annotated[bool, typer.Option("--pass-token", help="Leave Keywright's token to the program.")] = False,
    pass_as: Annotated[
        PassAs, typer.Option("--pass-as", help="Entries of the environment, KEYWRIGHT_FD, or KEYWRIGHT_FILES.")
    ] = PassAs.ENV,
    on_change: Annotated[
        OnChange | None, typer.Option("--on-change", help="Keep watching; what to do when a value changes.")
    ] = None,
    number: Annotated[str, typer.Option("--signal", metavar="S", help="For --on-change signal.")] = "HUP",
    grace: Annotated[
        float, typer.Option("--grace", metavar="SECONDS", min=0, max=3600, help="From SIGTERM to SIGKILL.")
    ] = 10.0,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,  # noqa: ARG001 - read by `shape.Command`, for errors
) -> None:
    """Run a program with an environment's variables, or a connection's login.

    Variables go by their last segment: shop/db/HOST becomes HOST. A connection gives DATABASE_URL, DB_HOST,
    DB_PORT, DB_NAME, DB_USER and DB_PASSWORD. The program takes this process's place, so signals and its exit
    code pass untouched (126: cannot be run, 127: not found). With --on-change, or --pass-as file, this process stays,
    passes signals on, and ends as the program does (128 and more: by a signal).
    """
    if folder is not None and names is not None:
        raise typer.BadParameter("give one of --folder and --names")
    found = discovery.discover(address, environment=environment)
    subjects: list[Subject] = []
    if names is not None:
        subjects += subject.values(names.split(","))
    elif folder is not None or connection is None:
        subjects.append(subject.folder(folder or ""))
    if connection is not None:
        subjects.append(subject.credential(connection))

    def made(known: Mapping[Subject, Known]) -> dict[str, str]:
        entries = Entries(allow or ())
        for each in subjects:
            if each.kind is subject.Kind.CREDENTIAL:
                entries.add_connection(known[each].credential(), prefix)
            else:
                entries.add_variables(known[each].values())
        return entries.values()

    around = discovery.surroundings()
    for name in () if pass_token else discovery.TOKEN_NAMES:
        around.pop(name, None)
    rules, ask = Rules(on_change or OnChange.LOG, _signal(number), grace), Asking(found)
    try:
        if on_change is None and pass_as is not PassAs.FILE:
            known = {each: subject.known(each, ask(each, None, 0), None, time.time()) for each in subjects}
            _become(command, Passing(pass_as, around), made(known))
        watched = subjects if on_change is not None else []
        program = Program(command, Passing(pass_as, around), rules)
        raise typer.Exit(Run(program, subjects, watched, made, ask).run())
    except CannotRun as error:
        screen.complain(str(error))
        raise typer.Exit(error.code) from None


def _become(command: list[str], passing: Passing, values: Mapping[str, str]) -> NoReturn:
    with passing.ready(values) as (environ, files):
        for file in files:
            os.set_inheritable(file, True)
        try:
            os.execvpe(command[0], command, environ)  # noqa: S606 - the caller's program is the purpose; no shell
        except OSError as error:
            raise cannot_run(command[0], error) from None


def _signal(name: str) -> int:
    try:
        return signals.named(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
