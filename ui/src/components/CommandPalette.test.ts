import { describe, expect, it } from "vitest";

import { find, type Place } from "./CommandPalette";

const PAGES: Place[] = [
  { path: "/a", title: "Names", section: "Manage", words: "SAN certificate" },
  { path: "/b", title: "System", section: "Manage", words: "certificates backup names" },
  { path: "/c", title: "Events", section: "Monitor", words: "audits" },
];

const found = (text: string) => find(PAGES, text).map((page) => page.path);

describe("the command palette", () => {
  it("finds pages by title, section and topic, in any case", () => {
    expect(found("san")).toEqual(["/a"]);
    expect(found("monitor AUD")).toEqual(["/c"]);
    expect(found("nothing")).toEqual([]);
  });

  it("puts titles that begin with the text first, and shows all without a text", () => {
    expect(found("names")).toEqual(["/a", "/b"]);
    expect(found("s")[0]).toBe("/b");
    expect(found(" ")).toEqual(["/a", "/b", "/c"]);
  });
});
