"""Runs ``airflow`` commands one after the other in one process, for importing Airflow takes longer than they do.

Each line of the standard input is one command, its arguments as JSON; when it is done, its exit code is a line of the
standard output. What it prints goes to the standard error.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable


def main(begin: Callable[[], None] = lambda: None) -> None:
    """Take commands until there are no more.

    :param begin: what to do when Airflow is imported, before the first command.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from airflow.cli.cli_parser import get_parser

    begin()
    parser = get_parser()
    for line in sys.stdin:
        arguments = parser.parse_args(json.loads(line))
        code: object = 0
        try:
            arguments.func(arguments)
        except SystemExit as ended:
            code = ended.code or 0
        except Exception:
            traceback.print_exc()
            code = 1
        print(int(code != 0), file=answers, flush=True)


if __name__ == "__main__":
    main()
