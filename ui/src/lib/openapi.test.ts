import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { curl, exampleOf, routesOf, search, type OpenApi } from "./openapi";

const DOCUMENT = JSON.parse(readFileSync("../contract/openapi.json", "utf-8")) as OpenApi;
const ROUTES = routesOf(DOCUMENT);

describe("the API reference", () => {
  it("shows every route of the contract, with what it is for and who may use it", () => {
    const count = Object.values(DOCUMENT.paths).reduce((sum, methods) => sum + Object.keys(methods).length, 0);
    expect(ROUTES).toHaveLength(count);
    expect(ROUTES.filter((route) => route.summary === "" || route.permission === "")).toEqual([]);
  });

  it("finds routes by every word", () => {
    const found = search(ROUTES, "overview get").map((route) => route.id);
    expect(found).toContain("GET /api/v1/overview");
    expect(search(ROUTES, "no such thing")).toEqual([]);
  });

  it("calls them with curl", () => {
    const one = ROUTES.find((route) => route.id === "DELETE /api/v1/defenders/install-bundles/{bundle}");
    expect(one && curl(one, "https://c:1")).toBe(`curl --fail-with-body -s --cacert ca.pem -u "$USER" \\\n    -X DELETE \\\n    'https://c:1/api/v1/defenders/install-bundles/BUNDLE'`);
  });

  it("ends examples of shapes within themselves", () => {
    const schemas = { Tree: { properties: { leaves: { type: "array", items: { $ref: "#/components/schemas/Tree" } } } } };
    expect(JSON.stringify(exampleOf({ $ref: "#/components/schemas/Tree" }, schemas)).length).toBeLessThan(200);
  });
});
