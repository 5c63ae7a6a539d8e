"""Telegrams (a JSON list of hex on stdin) as pymbusparser decodes them. Runs in the peers' environment."""

import json
import sys

import pymbusparser


def decoded(telegram: str) -> dict[str, object]:
    """Its records in their order, or the error."""
    try:
        found = pymbusparser.parse(telegram)
    except Exception as error:  # noqa: BLE001 (whatever the library cannot read is an answer, too)
        return {"error": f"{type(error).__name__}: {error}"}
    return {"records": found["records"], "state": found["decode_state"]}


print(json.dumps([decoded(telegram) for telegram in json.load(sys.stdin)], default=str))
