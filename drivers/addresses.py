"""Which devices of one bus may be one: addresses as the wire has them, not as they are written."""

from typing import TypeAlias

from drivers.cjt188 import address as cjt188
from drivers.cjt188.profile import Cjt188Profile
from drivers.mbus import address as mbus
from drivers.mbus.profile import MBusProfile
from drivers.settings import DeviceSetting

BusAddress: TypeAlias = int | str | bytes | mbus.Primary | mbus.Secondary | None


def bus_address(device: DeviceSetting) -> BusAddress:
    """What the wire has of a device's address, None where it has none; ValueError when it cannot be."""
    text, profile = device.address, device.profile
    if text is None:
        return device.unit_id
    if isinstance(profile, MBusProfile):
        return mbus.parse(text)
    if isinstance(profile, Cjt188Profile):
        return cjt188.to_wire(text, profile.cjt188.address_scheme)
    return text


def overlaps(one: BusAddress, other: BusAddress) -> bool:
    """True when one device may answer to both; devices without an address never do."""
    match one, other:
        case bytes(), bytes():
            return cjt188.overlaps(one, other)
        case ((mbus.Primary() | mbus.Secondary()), (mbus.Primary() | mbus.Secondary())):
            return mbus.overlaps(one, other)
    return one is not None and one == other
