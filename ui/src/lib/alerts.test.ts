import { describe, expect, it } from "vitest";

import { blockOf, lacking, TARGETS, told, valuesOf } from "./alerts";

describe("what a target's form sends", () => {
  it("leaves secrets out that were not typed, so that the kept ones stay", () => {
    expect(blockOf("webhook", { url: "https://a.test/", secret: "" })).toEqual({ url: "https://a.test/" });
    expect(blockOf("webhook", { url: "https://a.test/", secret: "x" })).toEqual({ url: "https://a.test/", secret: { plain: "x" } });
  });
  it("begins without secrets, whatever came", () => {
    expect(valuesOf("splunk", { url: "https://s.test/", authToken: { plain: "never" } })).not.toHaveProperty("authToken");
  });
  it("knows what is lacking, and that a kept secret is not", () => {
    expect(lacking("splunk", { url: "https://s.test/" }, [])?.key).toBe("authToken");
    expect(lacking("splunk", { url: "https://s.test/" }, ["authToken"])).toBeUndefined();
    expect(lacking("email", { smtpAddress: "m", from: "a@b.test", recipients: [] }, [])?.key).toBe("recipients");
  });
  it("has each target once, and each field of a target once", () => {
    expect(new Set(TARGETS.map(({ block }) => block)).size).toBe(TARGETS.length);
    for (const { fields } of TARGETS) expect(new Set(fields.map(({ key }) => key)).size).toBe(fields.length);
  });
});

describe("what a profile tells, in words", () => {
  it("names what is switched on", () => {
    expect(told({})).toBe("nothing");
    expect(told({ incident: {}, defender: { enabled: false } })).toBe("Incidents");
  });
});
