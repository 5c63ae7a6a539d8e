"""What a frame says, whatever the bus: facts for the technician's monitor, by each protocol's explainer."""

from drivers.settings import Bus, Cjt188Bus, MBusBus, ModbusRtuBus, ModbusTcpBus
from drivers.traffic import Meaning, Traffic, Verdict


def explain(bus: Bus, traffic: Traffic) -> Meaning | None:
    """The meaning of a frame heard on `bus`; None where there are no bytes or nobody knows. Never raises."""
    if not traffic.data:
        return None
    sent = traffic.verdict is Verdict.REQUEST
    match bus:
        case ModbusRtuBus() | ModbusTcpBus():
            from drivers.modbus.explain import explain as modbus  # noqa: PLC0415 (only where it is used)

            rtu = isinstance(bus, ModbusRtuBus) or bus.framing == "rtu"
            return modbus(traffic.data, sent, "rtu" if rtu else "tcp")
        case Cjt188Bus():
            from drivers.cjt188.explain import explain as cjt188  # noqa: PLC0415 (only where it is used)

            return cjt188(traffic.data)
        case MBusBus():
            from drivers.mbus.explain import explain as mbus  # noqa: PLC0415 (only where it is used)

            return mbus(traffic.data)
        case _:
            return None
