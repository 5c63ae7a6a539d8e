"""Plant state to points, as the field's probes show them: lag, noise, resolution. Pure but for the noise.

Units are those of edge/points.py. Lags and the meters' refresh live in the state, because they have a past.
"""

from collections.abc import Mapping
from functools import lru_cache
from zlib import crc32

from hil_tests.physics.noise import Noise
from hil_tests.physics.parameters import Circuit, Plant
from hil_tests.physics.state import CircuitState, Commands, PlantState

_SIGMA_K = 0.03
_FULL_HZ = 50.0
_OUTPUTS = (
    "valve_setpoint",
    "pump_1.run",
    "pump_1.speed_setpoint",
    "makeup_pump.run",
    "makeup_pump.speed_setpoint",
)


def _temperature(value_c: float, noise: Noise) -> float:
    """A Pt1000 behind a 0.05 K converter."""
    return round((value_c + _SIGMA_K * noise.normal()) * 20.0) / 20.0


def _bar(value: float, noise: Noise) -> float:
    return round((value + 0.005 * noise.normal()) * 100.0) / 100.0


def _circuit(circuit: Circuit, state: CircuitState, noise: Noise, points: dict[str, float]) -> None:
    name, probes, account = circuit.name, state.sensors, state.account
    head = circuit.water.head_bar * (state.secondary_kg_s / circuit.exchanger.secondary_kg_s) ** 2
    points[f"{name}.primary_supply_temperature"] = round(probes.meter_supply_c, 2)
    points[f"{name}.primary_return_temperature"] = round(probes.meter_return_c, 2)
    points[f"{name}.primary_flow"] = round(probes.meter_m3h, 2)
    points[f"{name}.heat_power"] = round(probes.meter_w * 1e-3, 1)
    points[f"{name}.heat_energy"] = float(int(account.energy_kwh))
    points[f"{name}.meter_number"] = float(crc32(name.encode()))  # as it stands on the meter, never the same
    points[f"{name}.primary_volume"] = int(account.volume_m3 * 100.0) / 100.0
    points[f"{name}.secondary_supply_temperature"] = _temperature(probes.supply_c, noise)
    points[f"{name}.secondary_return_temperature"] = _temperature(probes.secondary_return_c, noise)
    points[f"{name}.secondary_supply_pressure"] = _bar(state.static_bar + head, noise)
    points[f"{name}.secondary_return_pressure"] = _bar(state.static_bar, noise)
    points[f"{name}.makeup_flow"] = round(state.makeup_m3h, 2)
    points[f"{name}.makeup_volume"] = int(account.makeup_m3 * 1000.0) / 1000.0
    points[f"{name}.valve_position"] = round(state.motor * 1000.0) / 10.0
    points[f"{name}.pump_1.frequency"] = round(state.pump_percent * _FULL_HZ * 0.1) / 10.0
    points[f"{name}.pump_1.running"] = float(state.pump_percent > 1.0)
    points[f"{name}.pump_1.fault"] = float(state.fault)
    points[f"{name}.makeup_pump.frequency"] = round(state.makeup_percent * _FULL_HZ * 0.1) / 10.0
    points[f"{name}.makeup_pump.running"] = float(state.makeup_percent > 1.0)
    points[f"{name}.makeup_pump.fault"] = 0.0
    for room in circuit.rooms:
        air = state.air_c[room.branch] + room.offset_k + _SIGMA_K * noise.normal()
        points[f"room.{room.name}.temperature"] = round(air * 10.0) / 10.0


def measure(plant: Plant, state: PlantState, noise: Noise) -> dict[str, float]:
    """Every point of the station by its name (edge/points.py), as the devices would show it now."""
    points = {
        "station.outdoor_temperature": _temperature(state.probe_outdoor_c, noise),
        "station.primary_supply_temperature": _temperature(state.probe_supply_c, noise),
        "station.primary_differential_pressure": _bar(state.probe_differential_bar, noise),
        "station.tank_level": round(state.tank_m + 0.002 * noise.normal(), 3),
        "station.sump_level": round(state.sump_m + 0.002 * noise.normal(), 3),
        "station.mains_power": float(state.mains_power),
        "station.door": float(state.door_open),
    }
    for circuit, now in zip(plant.circuits, state.circuits, strict=True):
        _circuit(circuit, now, noise, points)
    return points


@lru_cache(maxsize=16)
def _outputs(name: str) -> tuple[str, ...]:
    """A circuit's output points in the order of Commands."""
    return tuple(f"{name}.{output}" for output in _OUTPUTS)


def commands(plant: Plant, points: Mapping[str, float]) -> tuple[Commands, ...]:
    """What the devices were told, from points by name; a point nobody wrote is 0."""
    told = []
    for circuit in plant.circuits:
        valve, run, percent, makeup_run, makeup_percent = (
            points.get(point, 0.0) for point in _outputs(circuit.name)
        )
        told.append(Commands(valve, run >= 0.5, percent, makeup_run >= 0.5, makeup_percent))
    return tuple(told)
