// An M-Bus master on node-mbus (libmbus). Usage: mbus_master.js PORT TIMEOUT_MS [ADDRESS...]
// Says as JSON what each address answers (null: nothing), or without addresses whom a wildcard search finds.
"use strict";
const MbusMaster = require("node-mbus");

const [port, timeout, ...addresses] = process.argv.slice(2);
const master = new MbusMaster({ host: "127.0.0.1", port: Number(port), timeout: Number(timeout) });
const ask = (what, ...more) =>
  new Promise((resolve) => master[what](...more, (error, data) => resolve(error ? null : data)));

(async () => {
  master.connect();
  const found = [];
  for (const address of addresses) {
    found.push(await ask("getData", address.length > 3 ? address : Number(address)));
  }
  console.log(JSON.stringify(addresses.length ? found : await ask("scanSecondary")));
  master.close(() => process.exit(0));
})();
