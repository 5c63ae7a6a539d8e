"""A frame of readings as the head-end gets it: complete in itself, no table of names needed. Pure.

msgpack of a list of columns, one place per reading:

    [points, units, kinds, values, marks, times]
    points  names
    units   the units that occur, once each
    kinds   place of each reading's unit in `units`
    values  None where BAD
    marks   nil when all are GOOD, else per reading quality * 16 + place of the reason in frames.REASONS;
            quality is 2 good, 1 uncertain, 0 bad
    times   microseconds from the moment of the frame to the source's time stamp: one number when all are
            equal, else one per reading

The moment of the frame (Unix time in ns) stands beside it in the row.
"""

import msgpack

from drivers import Reading, Unit
from edge.frames import Columns, check
from edge.upstream.codec import MalformedError


def encode_columns(columns: Columns) -> bytes:
    """The blob; the same columns always give the same bytes."""
    units = sorted(set(columns.units))
    places = {unit: place for place, unit in enumerate(units)}
    kinds = [places[unit] for unit in columns.units]
    shape = [columns.names, units, kinds, columns.values, columns.marks, columns.times]
    packed: bytes = msgpack.packb(shape)
    return packed


def decode_readings(wall_ns: int, blob: bytes) -> dict[str, Reading]:
    """The readings of the moment `wall_ns`; MalformedError for what encode_columns does not make."""
    try:
        names, units, kinds, values, marks, times = msgpack.unpackb(blob, strict_map_key=True)
        known = [Unit(unit) for unit in units]
        if type(names) is not list or not {type(name) for name in names} <= {str}:
            raise MalformedError("names of points")
        if type(kinds) is not list or not set(kinds) <= set(range(len(known))):
            raise MalformedError("units of points")
        columns = Columns(names, [known[kind] for kind in kinds], values, marks, times)
        check(columns)
        return columns.readings(wall_ns)
    except MalformedError:
        raise
    except (ValueError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise MalformedError(f"no frame: {type(error).__name__}") from None
