"""A profile drafted from what was found plausible, for a person to confirm. Pure."""

from edge.fieldwork.plausible import Candidate, Found

_HEAD = """\
# Draft made by `substation-edge probe` from plausibility alone (score {score:.2f}, read as {type} {order}).
# Compare every value with the meter's display before use. Then give maker, model and id, delete what you
# have not confirmed, and put the file into profiles/ beside the site file.

[profile]
id = "draft"
maker = "unknown"
model = "unknown"
protocol = "modbus"
source = "probe on site, values compared for plausibility only"
confidence = "assumed"

[modbus]
max_registers = 16
merge_holes = 0
"""
_REGISTER = """
[registers.{name}]          # read {value:.6g} {unit}
function = {function}
address = {address}
documented = "probed"
type = "{type}"
order = "{order}"
scale = {scale}
unit = "{unit}"
confidence = "assumed"
"""
_LIMITS = {
    "supply_temperature": "low = -10\nhigh = 190\n",
    "return_temperature": "low = -10\nhigh = 190\n",
}


def draft(candidate: Candidate, function: int) -> str:
    """TOML that our loader takes."""
    head = _HEAD.format(score=candidate.score, type=candidate.type, order=candidate.order)
    return head + "".join(_register(found, function) for found in candidate.found)


def _register(found: Found, function: int) -> str:
    text = _REGISTER.format(
        name=found.quantity,
        value=found.value,
        unit=found.unit.value,
        function=function,
        address=found.address,
        type=found.type,
        order=found.order,
        scale=float(found.scale),
    )
    return text + _LIMITS.get(found.quantity, "")
