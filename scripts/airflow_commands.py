"""Runs ``airflow`` commands one after the other in one process, because importing Airflow takes longer than they do.

Each line of standard input is one command, with its arguments as JSON. When it is done, its exit code is written as a
line to standard output. The command's own output goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable


def main(begin: Callable[[], None] = lambda: None) -> None:
    """Run commands until the end of the input.

    :param begin: called when Airflow is imported, before the first command.
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
