// A Modbus TCP server on npm jsmodbus; the values of libmodbus_server.c.
"use strict";
const net = require("net");
const { server: servers } = require("jsmodbus");

const registers = (first) => {
  const buffer = Buffer.alloc(800);
  for (let n = 0; n < 400; n++) buffer.writeUInt16BE(first + n, 2 * n);
  return buffer;
};
const bits = (every) => {
  const buffer = Buffer.alloc(8);
  for (let n = 0; n < 64; n++) if (n % every === 0) buffer[n >> 3] |= 1 << (n & 7);
  return buffer;
};
const holding = registers(1000);
holding.writeUInt32BE(0x422d0000, 20);

const listener = new net.Server();
new servers.TCP(listener, { holding, input: registers(2000), coils: bits(3), discrete: bits(2) });
listener.listen(0, "127.0.0.1", () => console.log(listener.address().port));
