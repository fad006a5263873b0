// Looks names up with c-ares, which compares where answers come from: each name with all kinds of records.
const dns = require("node:dns").promises;

async function main() {
  for (const name of process.argv.slice(2)) {
    for (const ask of ["resolve4", "resolve6", "resolveTxt", "resolveSrv", "resolveMx"]) {
      const begin = Date.now();
      const said = await dns[ask](name).then(JSON.stringify, (error) => error.code);
      console.log(name, ask, said, Date.now() - begin > 1500 ? "slowly" : "at once");
    }
    const lookup = await dns.lookup(name, { family: 4 }).then((found) => found.address, (error) => error.code);
    console.log(name, "lookup", lookup);
  }
  const many = await Promise.all(Array.from({ length: 300 }, () => dns.resolve4("other.test")));
  console.log("together", many.filter(([address]) => address === "192.0.2.7").length);
}

main();
