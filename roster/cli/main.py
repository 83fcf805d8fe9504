"""The command line: `roster`, for those who run the server."""

import sys

import click

from roster.cli.backup import backup, restore
from roster.cli.check import check
from roster.cli.clients import clients
from roster.cli.database import db, tokens
from roster.cli.definition import routes, spec
from roster.cli.matrix import matrix
from roster.cli.mistakes import told_in_one_line
from roster.cli.new.command import new
from roster.cli.reference import reference
from roster.cli.released import changes, release
from roster.cli.serve import serve
from roster.cli.users import users


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="roster", message="%(package)s %(version)s")
def roster() -> None:
    """Serve the API, and look after its database, users and clients."""


_OF_SERVERS = (serve, db, users, clients, tokens, backup, restore)
_OF_THE_DEFINITION = (check, spec, routes, matrix, reference, changes, release, new)
for _command in (*_OF_SERVERS, *_OF_THE_DEFINITION):
    roster.add_command(_command)


def main() -> None:
    """Run the command line; an operator's mistake is one line, not a traceback."""
    with told_in_one_line():
        roster(standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()  # what fails then is told too
