// Node's TLS in front of a plain TCP port. Usage: tls_front.js BACKEND_PORT CERTIFICATE KEY CLIENT_AUTHORITY
// Wants a client certificate of that authority; speaks TLS 1.2 only. Says its port.
"use strict";
const fs = require("fs");
const net = require("net");
const tls = require("tls");

const [backend, cert, key, ca] = process.argv.slice(2);
const options = {
  cert: fs.readFileSync(cert),
  key: fs.readFileSync(key),
  ca: fs.readFileSync(ca),
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.2",
};

const front = tls.createServer(options, (client) => {
  const behind = net.connect(Number(backend), "127.0.0.1");
  client.on("error", () => behind.destroy());
  behind.on("error", () => client.destroy());
  client.pipe(behind).pipe(client);
});
front.on("tlsClientError", () => {}); // who is refused is what the test is about
front.listen(0, "127.0.0.1", () => console.log(front.address().port));
