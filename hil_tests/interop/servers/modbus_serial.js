// A Modbus TCP server on npm modbus-serial; the values of libmodbus_server.c. Addresses from 400 on are refused.
"use strict";
const net = require("net");
const { ServerTCP } = require("modbus-serial");

const holding = Array.from({ length: 400 }, (_, n) => 1000 + n);
[holding[10], holding[11]] = [0x422d, 0x0000];

const known = (address, value) => {
  if (address >= 400) throw Object.assign(new Error("no such address"), { modbusErrorCode: 2 });
  return value;
};

const vector = {
  getHoldingRegister: (address) => known(address, holding[address]),
  getInputRegister: (address) => known(address, 2000 + address),
  getCoil: (address) => known(address, address % 3 === 0),
  getDiscreteInput: (address) => known(address, address % 2 === 0),
  setRegister: (address, value) => known(address, (holding[address] = value)),
  setCoil: (address) => known(address, undefined),
};

// It takes port 0 for 502: find a free one first.
const probe = net.createServer().listen(0, "127.0.0.1", () => {
  const { port } = probe.address();
  probe.close(() => {
    const server = new ServerTCP(vector, { host: "127.0.0.1", port, unitID: 1 });
    server.on("initialized", () => console.log(port));
  });
});
