// An OPC UA server on node-opcua with every policy and mode, a user, and variables that obey orders.
// Usage: opcua_server.js PORT PKI CERTIFICATE KEY [EXTRA]   (PKI: its own folder of certificates, whose
// trusted/certs are the clients it believes; CERTIFICATE and KEY: PEM; EXTRA: namespaces before its own)
// Orders on stdin, one JSON object in each line: {"name": ..., "value": ..., "status": "BadSensorFailure",
// "frozen": true}. All but frozen variables get a new source time stamp with each scan.
"use strict";
const readline = require("readline");
if (!globalThis.crypto) globalThis.crypto = require("crypto").webcrypto; // node 18
const say = console.log.bind(console);
console.log = console.error; // the library's warnings; what we say goes to stdout
const opcua = require("node-opcua");

const [port, pki, certificateFile, privateKeyFile, extra = "0"] = process.argv.slice(2);
const { SecurityPolicy, MessageSecurityMode } = opcua;
const NAMESPACE = "urn:test:interop";
const SCAN_MS = 100;

// name: type, first value, whether clients may write it
const VARIABLES = {
  Supply: ["Float", 45.5, false],
  Level: ["Double", 1.25, false],
  Counter: ["UInt32", 4000000000, false],
  Setpoint: ["Float", 20.5, true],
  Step: ["Int16", -7, true],
  Run: ["Boolean", false, true],
};

const identity = () => ({
  serverInfo: { applicationUri: "urn:test:plc", applicationName: { text: "interop" } },
  serverCertificateManager: new opcua.OPCUACertificateManager({
    rootFolder: pki,
    automaticallyAcceptUnknownCertificate: false,
  }),
  certificateFile,
  privateKeyFile,
});

const server = new opcua.OPCUAServer({
  ...identity(),
  port: Number(port),
  hostname: "127.0.0.1",
  securityPolicies: [
    SecurityPolicy.None,
    SecurityPolicy.Basic256Sha256,
    SecurityPolicy.Aes128_Sha256_RsaOaep,
    SecurityPolicy.Aes256_Sha256_RsaPss,
  ],
  securityModes: [MessageSecurityMode.None, MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
  allowAnonymous: true,
  userManager: { isValidUser: (name, password) => name === "operator" && password === "geheim" },
});

const variables = {};

const build = (space) => {
  for (let n = 0; n < Number(extra); n++) space.registerNamespace(`urn:test:other:${n}`);
  const own = space.registerNamespace(NAMESPACE);
  const folder = own.addFolder(space.rootFolder.objects, { browseName: "Station" });
  for (const [name, [dataType, value, writable]] of Object.entries(VARIABLES)) {
    const access = writable ? "CurrentRead | CurrentWrite" : "CurrentRead";
    const node = own.addVariable({
      componentOf: folder,
      browseName: name,
      nodeId: `s=${name}`,
      dataType,
      minimumSamplingInterval: SCAN_MS,
      accessLevel: access,
      userAccessLevel: access,
      value: { dataType: opcua.DataType[dataType], value },
    });
    variables[name] = { node, status: opcua.StatusCodes.Good, frozen: false };
  }
};

const scan = () => {
  for (const { node, status, frozen } of Object.values(variables)) {
    if (!frozen) node.setValueFromSource(node.readValue().value, status, new Date());
  }
};

const obey = (line) => {
  const order = JSON.parse(line);
  const variable = variables[order.name];
  if ("status" in order) variable.status = opcua.StatusCodes[order.status];
  if ("frozen" in order) variable.frozen = order.frozen;
  const { dataType } = variable.node.readValue().value;
  if ("value" in order) variable.node.setValueFromSource({ dataType, value: order.value }, variable.status);
  say("done");
};

(async () => {
  await server.initialize();
  build(server.engine.addressSpace);
  await server.start();
  setInterval(scan, SCAN_MS);
  readline.createInterface({ input: process.stdin }).on("line", obey);
  say(port);
})();
