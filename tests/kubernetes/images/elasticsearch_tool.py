"""`temporal-elasticsearch-tool` as the image `temporalio/admin-tools` has it, without OpenSearch.

There is no server here that it could talk to: it takes what the real one takes, insists on what
that one needs to know, and does nothing.
"""

import argparse
import os


def main() -> None:
    parser = argparse.ArgumentParser(prog="temporal-elasticsearch-tool")
    parser.add_argument("--endpoint", default=os.environ.get("ES_SERVER"))
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup-schema")
    for name in ("create-index", "update-schema"):
        commands.add_parser(name).add_argument("--index", required=True)
    arguments = parser.parse_args()
    if not (arguments.endpoint or "").startswith("https://"):
        parser.error(f"ES_SERVER is {arguments.endpoint!r}: write an https URL")


if __name__ == "__main__":
    main()
