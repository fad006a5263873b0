import { describe, expect, it } from "vitest";

import { inWords, limitedTo, limits } from "./access";

describe("limits", () => {
  it("are none for All, whatever stands beside it", () => {
    expect(limitedTo([{ project: "", collections: ["shop"] }, { project: "", collections: ["All"] }])).toEqual([]);
    expect(limitedTo(undefined)).toEqual([]);
  });
  it("come out as they went in", () => {
    expect(limitedTo(limits(["shop", "bank"]))).toEqual(["shop", "bank"]);
    expect(limits([])).toEqual([]);
  });
});

describe("permissions", () => {
  it("are told in words", () => {
    expect(inWords("policyWrite")).toBe("policy: write");
    expect(inWords("incidentsAcknowledge")).toBe("incidents: acknowledge");
  });
});
