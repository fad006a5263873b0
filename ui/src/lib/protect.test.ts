import { describe, expect, it } from "vitest";

import { cliOf, curlOf, DEFAULTS, placeOf, syntaxOf, taskQuery } from "./protect";

const CHOICES = { ...DEFAULTS, consoleaddr: " console.test " };

describe("protecting", () => {
  it("asks for what was chosen, and for nothing else", () => {
    expect(String(taskQuery(CHOICES))).toBe("consoleaddr=console.test");
    const all = taskQuery({ ...CHOICES, waasPorts: "80:8080, 443:8443", compat: "web", registryCredentialID: "ecr", findPrivileged: true });
    expect(all.getAll("waasPorts")).toEqual(["80:8080", "443:8443"]);
    expect(all.get("registryCredentialID")).toBe("ecr");
    // Without a look-up the Console refuses a credential for one.
    expect(taskQuery({ ...CHOICES, registryCredentialID: "ecr" }).has("registryCredentialID")).toBe(false);
  });

  it("finds where an error lies", () => {
    expect(placeOf("line 3, column 7: a key is doubled")).toEqual({ line: 3, column: 7 });
    expect(placeOf("line 12: a tab")).toEqual({ line: 12 });
    expect(placeOf("the definition has no containers")).toBeNull();
  });

  it("tells JSON from YAML", () => {
    expect(syntaxOf("\n {")).toBe("json");
    expect(syntaxOf("family: x")).toBe("yaml");
  });

  it("quotes what a shell would read", () => {
    const hostile = { ...CHOICES, consoleaddr: "a;rm -rf '$HOME'" };
    expect(cliOf("task", "https://c", hostile)).toContain(`--console-host 'a;rm -rf '\\''$HOME'\\'''`);
    expect(curlOf("task", "https://c", hostile)).toContain("consoleaddr=a%3Brm+-rf+%27%24HOME%27");
    expect(curlOf("dockerfile", "https://c", { ...CHOICES, appID: "it's" })).toContain(`"appID":"it'\\''s"`);
  });
});
