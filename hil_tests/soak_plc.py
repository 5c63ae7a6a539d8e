"""A PLC for the soak, in a process of its own: `python -m hil_tests.soak_plc PORT`; says when it is ready."""

import itertools
import sys
import time

from drivers.tests.plc import serving_plc


def main() -> None:
    """Serve until terminated, with new numbers ten times a second."""
    with serving_plc(int(sys.argv[1])) as plc:
        for number in itertools.count():
            plc.put("supply", float(number), stamp=time.time())
            plc.put("flow", -float(number), stamp=time.time())
            if number == 0:
                print("ready", flush=True)
            time.sleep(0.1)


if __name__ == "__main__":
    main()
