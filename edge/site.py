"""The site's configuration as frozen models. Reads no file and checks nothing that needs another file.

A key nobody knows is refused, every number says its unit in its name, and every default is one the
knowledge of the trade supports (sources beside them). `edge.check` loads a file into these models.
"""

from datetime import date
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from edge.hosts import has_host, is_host

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Register = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]  # as profiles name them
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Positive = Annotated[float, Field(gt=0)]
Percent = Annotated[float, Field(ge=0, le=100)]


def _possible_host(text: str) -> str:
    if not is_host(text):
        raise PydanticCustomError("host", "this is neither an IP address nor a name")
    return text


def _possible_url(text: str) -> str:
    if not has_host(text):
        raise PydanticCustomError("host", "this names no host and port that can be")
    return text


Host = Annotated[str, AfterValidator(_possible_host)]
WaterTemperature = Annotated[float, Field(ge=5, le=130)]  # TROVIS flow range ends at 130 degC


CLOSED = ConfigDict(extra="forbid", allow_inf_nan=False)


class Model(BaseModel):
    """Frozen, and strict about keys: what nobody reads is refused."""

    model_config = ConfigDict(frozen=True, **CLOSED)


class Label(Model):
    """A name people read, in both languages."""

    zh: str
    en: str

    def text(self, language: str) -> str:
        """The name in `zh` or `en`."""
        return self.zh if language == "zh" else self.en


class SiteIdentity(Model):
    """Who we are. `gateway` is the pseudonymous id upstream; `name` stays in the station."""

    gateway: Identifier
    name: Label
    language: Literal["zh", "en"] = "zh"
    timezone: Literal["Asia/Shanghai"] = "Asia/Shanghai"  # the five documents know one civil time
    cycle_s: Annotated[float, Field(ge=0.5, le=5)] = 1.0


class Regulation(Model):
    """The document that rules here, and what its text leaves to the site or the contract."""

    pack: Identifier
    season_start: date | None = None
    season_end: date | None = None
    parameters: dict[str, float | str | bool] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _order(self) -> Self:
        if (self.season_start is None) != (self.season_end is None):
            raise PydanticCustomError("season_half", "season_start and season_end go together")
        if self.season_start and self.season_end and self.season_end <= self.season_start:
            raise PydanticCustomError("season_order", "season_end must come after season_start")
        return self


class Curve(Model):
    """Heat curve by points (outdoor degC, supply degC), linear between, held beyond the ends.

    The outdoor temperature is filtered by the building's time constant and mixed with the actual one by
    `actual_share` (Siemens RVL/RMH: 20 h and 50 %; ranges as there).
    """

    points: tuple[tuple[float, WaterTemperature], ...] = Field(min_length=2, max_length=10)
    minimum_c: WaterTemperature = 20.0
    maximum_c: WaterTemperature
    filter_h: Annotated[float, Field(ge=0, le=200)] = 20.0
    actual_share: Annotated[float, Field(ge=0, le=1)] = 0.5

    @model_validator(mode="after")
    def _order(self) -> Self:
        outdoor = [point[0] for point in self.points]
        if outdoor != sorted(set(outdoor)):
            raise PydanticCustomError("curve_order", "points must rise in outdoor temperature, none twice")
        supply = [point[1] for point in self.points]
        if supply != sorted(supply, reverse=True):
            raise PydanticCustomError("curve_rising", "warmer outdoors must not ask for warmer supply")
        if self.minimum_c >= self.maximum_c:
            raise PydanticCustomError("limits_order", "minimum_c must be below maximum_c")
        return self


class Valve(Model):
    """PI on the primary valve. Gain in % of stroke per K, dead band on the error in K.

    Defaults: the best fixed PI of the plant study; the valve rests while the error is within the dead band.
    `safe` is held until every required input has reported: `hold` writes nothing, as CJJ/T 34-2022 13.1.5
    asks of automatic regulators (hold the present value); a number is an opening in %.
    """

    gain_percent_per_k: Positive = 2.2
    integral_time_s: Annotated[float, Field(ge=5, le=3600)] = 50.0
    dead_band_k: Annotated[float, Field(ge=0, le=9)] = 0.3
    running_time_s: Annotated[float, Field(ge=5, le=900)] = 120.0
    minimum_percent: Percent = 0.0
    maximum_percent: Percent = 100.0
    safe: Literal["hold"] | Percent = "hold"
    renew_s: Annotated[float, Field(ge=1, le=60)] = 30.0  # actuators fall back after 120 s without renewal

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.minimum_percent >= self.maximum_percent:
            raise PydanticCustomError("limits_order", "minimum_percent must be below maximum_percent")
        return self


class Circulation(Model):
    """The circulation pump: run at a fixed speed whenever the circuit heats."""

    speed_percent: Annotated[float, Field(ge=20, le=100)] = 80.0
    minimum_return_bar: Annotated[float, Field(ge=0)] = 0.5  # GB 55010-2021 4.1.7: return >= 50 kPa


class Pressurisation(Model):
    """Make-up pump: starts half a band below the setpoint of the return pressure, stops half a band above.

    It stops when the tank is below `tank_minimum_m` and after `maximum_run_s` without reaching the band.
    """

    setpoint_bar: Annotated[float, Field(ge=0.5, le=16)]
    band_bar: Annotated[float, Field(gt=0, le=3)] = 0.4
    speed_percent: Annotated[float, Field(ge=20, le=100)] = 80.0
    maximum_run_s: Annotated[float, Field(ge=10, le=3600)] = 900.0
    tank_minimum_m: Annotated[float, Field(ge=0, le=20)] = 0.3


class Detection(Model):
    """When a circuit counts as without heat: evidence must hold for `confirm_s` (times of our own choice).

    Shares are of the heat due (Load). Below `stop_share` heat counts as stopped (a tenth of the usual load
    is what the other evidence calls no heat; twice that leaves room for the meter); below `degraded_share`
    for `degraded_s` the supply is degraded: our choice, since no text gives a figure. `join_s`: heat that was
    back for less interrupts an outage of one cause and does not end it.
    """

    confirm_s: Annotated[float, Field(ge=10, le=3600)] = 300.0
    recover_s: Annotated[float, Field(ge=10, le=3600)] = 300.0
    supply_deficit_k: Annotated[float, Field(gt=0, le=60)] = (
        10.0  # Siemens RVD240: more than 10 K below setpoint
    )
    source_supply_margin_k: Annotated[float, Field(ge=0, le=60)] = (
        3.0  # primary must be this warmer than setpoint
    )
    source_pressure_bar: Annotated[float, Field(ge=0)] = (
        0.25  # differential pressure below this gives no flow
    )
    stop_share: Annotated[float, Field(ge=0.05, le=0.5)] = 0.2
    degraded_share: Annotated[float, Field(ge=0.2, le=0.95)] = 0.6
    degraded_s: Annotated[float, Field(ge=300, le=86_400)] = 3600.0
    join_s: Annotated[float, Field(ge=0, le=7200)] = 1800.0

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.stop_share >= self.degraded_share:
            raise PydanticCustomError("shares_order", "stop_share must be below degraded_share")
        return self


class Load(Model):
    """The heat the buildings of a circuit need: a line from the design weather to the heating limit.

    Without `design_w_per_m2` the usual 50 W/m2 stands in where heat is only estimated; then nobody is accused
    of giving too little by it. `design_outdoor_c`: where not given, the coldest point of the heat curve.
    """

    design_w_per_m2: Annotated[float, Field(gt=0, le=200)] | None = None
    design_outdoor_c: Annotated[float, Field(ge=-50, le=10)] | None = None
    heating_limit_c: Annotated[float, Field(ge=11, le=25)] = 18.0  # rooms as the documents ask


class LeakLimits(Model):
    """When make-up water counts as a leak (times and factors of our own choice).

    Above the trade's limit at any time; above `factor` times the learned night base, and at least
    `margin_share` of that limit above it, once `nights` nights are known.
    """

    nights: Annotated[int, Field(ge=3, le=30)] = 5
    factor: Annotated[float, Field(ge=1.5, le=20)] = 3.0
    margin_share: Annotated[float, Field(ge=0.02, le=1)] = 0.2


class Circuit(Model):
    """One secondary network (circuit): its emitter, its users, its settings."""

    id: Name
    name: Label
    area: Label  # the place named to the users when heat is lost
    emitter: Literal["radiator", "floor"]
    heated_area_m2: Positive
    dwellings: Annotated[int, Field(ge=0)]
    curve: Curve
    valve: Valve = Valve()
    circulation: Circulation = Circulation()
    pressurisation: Pressurisation
    detection: Detection = Detection()
    load: Load = Load()
    leak: LeakLimits = LeakLimits()


@dataclass(frozen=True, slots=True, config=CLOSED)
class Room:
    """A measured room: where it is, as sampling rules ask. Thousands may be named: a dataclass is lighter."""

    id: Name
    circuit: Name
    floor: Literal["top", "middle", "low"]
    position: Literal["near", "middle", "end"]
    orientation: Literal["north", "east", "south", "west"]
    kind: Literal["bedroom", "living_room"] = "living_room"


class SensorFault(Model):
    """What stands in for a broken sensor (Ouman, Siemens: outdoor 0 degC; supply: hold the valve)."""

    outdoor_substitute_c: Annotated[float, Field(ge=-40, le=20)] = 0.0
    entry_delay_s: Annotated[float, Field(ge=0, le=600)] = 10.0  # Ouman H23
    exit_delay_s: Annotated[float, Field(ge=0, le=600)] = 5.0  # Ouman H23


class SerialBus(Model):
    """An RS-485 line with Modbus RTU."""

    id: Name
    kind: Literal["modbus-rtu"]
    port: str
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 76800, 115200] = 19200
    parity: Literal["N", "E", "O"] = "E"
    stop_bits: Literal[1, 2] = 1
    timeout_s: Annotated[float, Field(ge=0.02, le=10)] = 0.5

    protocol: ClassVar = "modbus"

    @property
    def place(self) -> str:
        """What only one bus may use."""
        return self.port


class TlsFiles(Model):
    """TLS to devices (Modbus/TCP Security: port 802): whom we believe, and our own certificate if asked for.

    `ca_file` is the authority's, or the device's own certificate; without it nothing is believed.
    """

    ca_file: str
    certificate_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise PydanticCustomError("tls_half", "certificate_file and key_file go together")
        return self


class TcpBus(Model):
    """Modbus behind one TCP address; `modbus-rtu-tcp`: a converter that carries serial frames as they are."""

    id: Name
    kind: Literal["modbus-tcp", "modbus-rtu-tcp"]
    host: Host
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    timeout_s: Annotated[float, Field(ge=0.02, le=30)] = 1.0
    tls: TlsFiles | None = None

    protocol: ClassVar = "modbus"

    @property
    def place(self) -> str:
        """What only one bus may use."""
        return f"{self.host}:{self.port}"


class MeterLine(Model):
    """Heat meters behind a level converter, serial (`tty`) or TCP (`host`, `port`).

    2400 baud 8E1 is what both standards begin with (EN 13757-2; CJ/T 188).
    """

    id: Name
    kind: Literal["mbus", "cjt188"]
    tty: str | None = None
    baud: Literal[300, 1200, 2400, 4800, 9600, 19200, 38400] = 2400
    parity: Literal["N", "E", "O"] = "E"
    host: Host | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    timeout_s: Annotated[float, Field(ge=0.02, le=30)] = 1.0

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.tty is None) == (self.host is None) or (self.host is None) != (self.port is None):
            raise PydanticCustomError("line_end", "give either tty, or host and port")
        return self

    @property
    def protocol(self) -> str:
        """What devices here must speak."""
        return self.kind

    @property
    def place(self) -> str:
        """What only one bus may use."""
        return self.tty or f"{self.host}:{self.port}"


class OpcUaServer(Model):
    """An OPC UA server; `insecure = true` must be written where it is meant.

    `pki` is the folder of certificates: ours is made there at first use, a server's is believed when it lies
    in `trusted/` below it. `accept_expired` believes it beyond its end, until it is renewed.
    """

    id: Name
    kind: Literal["opcua"]
    url: Annotated[str, StringConstraints(pattern=r"^opc\.tcp://.+"), AfterValidator(_possible_url)]
    insecure: bool = False
    policy: Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = "Basic256Sha256"
    security: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    pki: str | None = None
    application_uri: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$")] | None = None
    accept_expired: bool = False
    user: str | None = None
    password_file: str | None = None
    sampling_ms: Annotated[int, Field(ge=10, le=60000)] = 1000
    timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 4.0

    protocol: ClassVar = "opcua"

    @property
    def place(self) -> str:
        """What only one bus may use."""
        return self.url


Bus = Annotated[SerialBus | TcpBus | MeterLine | OpcUaServer, Field(discriminator="kind")]


Period = Annotated[float, Field(ge=0.5, le=86400)]


@dataclass(frozen=True, slots=True, config=CLOSED)
class MappedPoint:
    """Where a point lives in its device, and how often it is read if not as often as its device (s).

    `stuck_s`: the last digit of a living sensor moves; a value that stays the same for so long is no longer
    believed. For measured values only: a switch, a total or a valve at its stop may well rest.
    """

    register_: Annotated[Register, Field(alias="register")]
    period_s: Period | None = None
    stuck_s: Annotated[float, Field(ge=60, le=604_800)] | None = None


def _as_table(given: object) -> object:
    """A register's name alone is short for a table with nothing else in it."""
    return {"register": given} if isinstance(given, str) else given


class Device(Model):
    """A device on a bus: its profile, its address, how often it is read, what its registers mean here.

    Modbus devices have a `unit_id`, meters on M-Bus and CJ/T 188 an `address`.
    The key `points` maps the house's point names to register names of the profile, or to a table
    `{ register = "...", period_s = ... }` for a point with a period of its own.
    """

    id: Name
    bus: Name
    profile: Identifier
    unit_id: Annotated[int, Field(ge=1, le=247)] | None = None
    address: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{1,16}(\.[0-9A-Za-z]+)*$")] | None = None
    period_s: Annotated[float, Field(ge=0.5, le=3600)] = 10.0
    mapping: dict[str, Annotated[MappedPoint, BeforeValidator(_as_table)]] = Field(
        alias="points", min_length=1
    )

    @cached_property
    def points(self) -> dict[str, str]:
        """Register names of the profile by point name."""
        return {name: mapped.register_ for name, mapped in self.mapping.items()}

    def period_of(self, point: str) -> float:
        """How often the site wants a point to be read, s."""
        return self.mapping[point].period_s or self.period_s


class Upstream(Model):
    """The head-end's broker. `insecure = true` (no TLS) must be written where it is meant."""

    host: Host
    port: Annotated[int, Field(ge=1, le=65535)] = 8883
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    insecure: bool = False
    batch_rows: Annotated[int, Field(ge=1, le=1000)] = 100


class Recording(Model):
    """How often all points are written to the history, what is kept between, and how large it may grow.

    `dead_bands` by point, in its unit: changes up to so much are not kept; 0: every change.
    """

    snapshot_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    history_mib: Annotated[int, Field(ge=1, le=100_000)] = 256
    dead_bands: dict[str, Annotated[float, Field(ge=0)]] = {}


class Site(Model):
    """Everything the service needs to know of the place it stands in."""

    site: SiteIdentity
    regulation: Regulation
    circuits: tuple[Circuit, ...] = Field(min_length=1)
    rooms: tuple[Room, ...] = ()
    sensor_fault: SensorFault = SensorFault()
    buses: tuple[Bus, ...] = Field(min_length=1)
    devices: tuple[Device, ...] = Field(min_length=1)
    recording: Recording = Recording()
    upstream: Upstream | None = None

    def circuit(self, circuit_id: str) -> Circuit:
        """The circuit of that id; KeyError when there is none."""
        for circuit in self.circuits:
            if circuit.id == circuit_id:
                return circuit
        raise KeyError(circuit_id)

    def points(self) -> frozenset[str]:
        """Names of all mapped points."""
        return frozenset(name for device in self.devices for name in device.points)
