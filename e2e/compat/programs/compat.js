// What a Node service does: child processes in every way, look-ups on its thread pool, HTTP, workers, datagrams.
const { execFile, execFileSync, fork, spawn, spawnSync } = require("node:child_process");
const dgram = require("node:dgram");
const dns = require("node:dns").promises;
const http = require("node:http");
const net = require("node:net");
const { promisify } = require("node:util");
const { Worker, isMainThread, parentPort } = require("node:worker_threads");

async function children() {
  const run = promisify(execFile);
  const said = await Promise.all([...Array(20).keys()].map((turn) => run("echo", [`turn ${turn}`])));
  console.log("started", said.filter(({ stdout }, turn) => stdout === `turn ${turn}\n`).length);
  console.log("sync", execFileSync("sh", ["-c", "echo $((6*7))"]).toString().trim());
  console.log("status", spawnSync("sh", ["-c", "exit 9"]).status, spawnSync("no-such-program").error.code);
  const sleeper = spawn("sleep", ["60"]);
  sleeper.kill();
  console.log("ended", await new Promise((resolve) => sleeper.on("exit", (_, signal) => resolve(signal))));
  const child = fork(__filename, ["child"]);
  console.log("message", await new Promise((resolve) => child.on("message", resolve)));
  console.log("child", await new Promise((resolve) => child.on("exit", resolve)));
}

async function web() {
  const server = http.createServer((request, response) => response.end(request.url)).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.on("listening", resolve));
  const get = (path) =>
    new Promise((resolve, reject) => {
      const options = { host: "good.test", port: server.address().port, path, agent: false, family: 4 };
      const request = http.get(options, (response) => {
        let body = "";
        response.on("data", (part) => (body += part)).on("end", () => resolve(body));
      });
      request.on("error", reject);
    });
  const bodies = await Promise.all([...Array(100).keys()].map((turn) => get(`/${turn}`)));
  console.log("http", bodies.filter((body, turn) => body === `/${turn}`).length);
  server.close();
}

async function names() {
  console.log("lookup", await dns.lookup("other.test", { family: 4 }));
  console.log("missing", await dns.lookup("missing.test").catch((error) => error.code));
}

async function refused() {
  for (const host of ["127.0.0.1", "192.0.2.1"]) {
    const socket = net.connect(9, host);
    console.log(host, await new Promise((resolve) => socket.on("error", (error) => resolve(error.code))));
  }
}

async function datagrams() {
  const server = dgram.createSocket("udp4");
  const client = dgram.createSocket("udp4");
  await new Promise((resolve) => server.bind(0, "127.0.0.1", resolve));
  let heard = 0;
  const all = new Promise((resolve) => server.on("message", () => ++heard === 20 && resolve()));
  for (let turn = 0; turn < 20; turn++) client.send(`datagram ${turn}`, server.address().port, "127.0.0.1");
  await all;
  console.log("datagrams", heard);
  server.close();
  client.close();
}

async function workers() {
  const results = [1, 2, 3, 4].map(() => new Promise((resolve) => new Worker(__filename).on("message", resolve)));
  console.log("workers", await Promise.all(results));
}

async function main() {
  await children();
  await web();
  await names();
  await refused();
  await datagrams();
  await workers();
  process.exitCode = 5;
}

if (!isMainThread) parentPort.postMessage(execFileSync("echo", ["from a worker"]).toString().trim());
else if (process.argv[2] === "child") process.send("from a child", () => process.exit(4));
else main();
