"""Telegrams (a JSON list of hex on stdin) as pyMeterBus decodes them. Runs in the peers' environment."""

import json
import sys

import meterbus


def decoded(telegram: str) -> dict[str, object]:
    """Its records in their order, or the error."""
    try:
        found = json.loads(meterbus.load(bytes.fromhex(telegram)).to_JSON())
    except Exception as error:  # noqa: BLE001 (whatever the library cannot read is an answer, too)
        return {"error": f"{type(error).__name__}: {error}"}
    return {"records": found["body"].get("records", [])}


print(json.dumps([decoded(telegram) for telegram in json.load(sys.stdin)]))
