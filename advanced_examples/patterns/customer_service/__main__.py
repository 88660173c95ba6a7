"""The outermost ring: the application for a terminal.

    CUSTOMER_ENGINE=duckdb CUSTOMER_URL=customers.duckdb \\
        python -m customer_service register "Anna Berg" anna@example.com

Exit codes: 0 done, 1 refused (the reason is on standard error), 2 wrong usage.
"""

import argparse
import sys
from contextlib import closing

from customer_service.bootstrap import bootstrap
from customer_service.domain import CustomerError
from customer_service.factory import ConfigurationError
from customer_service.ports import StoreError


def make_parser() -> argparse.ArgumentParser:
    """The two commands."""
    parser = argparse.ArgumentParser(
        prog="python -m customer_service",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    register = commands.add_parser("register", help="open an account")
    register.add_argument("name")
    register.add_argument("email")
    commands.add_parser("list", help="show all customers")
    return parser


def main() -> int:
    """Do what the command line says; the exit code."""
    arguments = make_parser().parse_args()
    try:
        application = bootstrap()
        with closing(application.store):
            if arguments.command == "register":
                customer = application.service.register_customer(arguments.name, arguments.email)
                print(f"registered {customer.name} <{customer.email}>")
            else:
                for customer in application.store.get_all():
                    print(f"{customer.name} <{customer.email}>")
    except (CustomerError, StoreError, ConfigurationError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
