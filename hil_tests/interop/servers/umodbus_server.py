"""A Modbus TCP server on uModbus; the values of libmodbus_server.c. Runs in the peers' own environment."""

from socketserver import TCPServer

from umodbus.server.tcp import RequestHandler, get_server

HOLDING = {n: 1000 + n for n in range(400)} | {10: 0x422D, 11: 0x0000}

TCPServer.allow_reuse_address = True
app = get_server(TCPServer, ("127.0.0.1", 0), RequestHandler)


@app.route(slave_ids=[1], function_codes=[3, 6, 16], addresses=list(range(400)))
def holding(slave_id: int, function_code: int, address: int, value: int | None = None) -> int:
    """Read, or write when a value is given."""
    if value is not None:
        HOLDING[address] = value
    return HOLDING[address]


@app.route(slave_ids=[1], function_codes=[4], addresses=list(range(400)))
def inputs(slave_id: int, function_code: int, address: int) -> int:
    """Input registers."""
    return 2000 + address


@app.route(slave_ids=[1], function_codes=[1, 5], addresses=list(range(64)))
def coils(slave_id: int, function_code: int, address: int, value: int | None = None) -> int:
    """Coils."""
    return int(address % 3 == 0)


@app.route(slave_ids=[1], function_codes=[2], addresses=list(range(64)))
def discrete(slave_id: int, function_code: int, address: int) -> int:
    """Discrete inputs."""
    return int(address % 2 == 0)


print(app.server_address[1], flush=True)
app.serve_forever()
