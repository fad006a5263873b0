import { describe, expect, test } from "vitest";

import { emptyRule, freeName, merged, moved, placed, unchanged, type Rule } from "./runtime-policy";

const rule = (name: string, notes = ""): Rule => ({ ...emptyRule(name), notes });
const names = (rules: readonly Rule[]) => rules.map((item) => item.name).join("");

describe("merged", () => {
  const [a, b, c] = [rule("a"), rule("b"), rule("c")];
  const base = [a, b, c];

  test("keeps what each of two changed", () => {
    const mine = [rule("a", "mine"), rule("b"), rule("c")];
    const theirs = [rule("n"), rule("a"), rule("b", "theirs")];
    const { rules, both } = merged(base, mine, theirs);
    expect(names(rules)).toBe("nab");
    expect(rules.map((item) => item.notes)).toEqual(["", "mine", "theirs"]);
    expect(both).toEqual([]);
  });

  test("names what both changed, and keeps mine", () => {
    const { rules, both } = merged(base, [rule("a", "mine"), rule("b")], [rule("a", "theirs"), rule("b"), rule("c", "x")]);
    expect(both).toEqual(["a", "c"]);
    expect(rules.map((item) => item.notes)).toEqual(["mine", ""]);
  });

  test("takes my order when I changed it, theirs otherwise", () => {
    expect(names(merged(base, [c, a, b], [...base, rule("n")]).rules)).toBe("cnab");
    expect(names(merged(base, [...base, rule("m")], [b, a, c]).rules)).toBe("bacm");
  });
});

test("a move goes where it is let go, and no further than the ends", () => {
  expect(moved(["a", "b", "c"], 2, 0)).toEqual(["c", "a", "b"]);
  expect(moved(["a", "b", "c"], 0, 9)).toEqual(["b", "c", "a"]);
});

test("who changed a rule last is no change", () => {
  expect(unchanged([rule("a")], [{ ...rule("a"), owner: "x", modified: "y" }])).toBe(true);
  expect(unchanged([rule("a")], [rule("a", "x")])).toBe(false);
  expect(unchanged([rule("a"), rule("b")], [rule("b"), rule("a")])).toBe(false);
});

test("a copy gets a name that is free", () => {
  expect(freeName("a", [rule("a"), rule("a 2")])).toBe("a 3");
});

test("problems find their fields", () => {
  expect(
    placed(["rule `a`: filesystem.whitelist[1]: `etc` is no absolute path", "rule `b`: dns.effect: no", "rule `a`: there is no custom rule 5", "rule `a`: network.whitelistOutboundPorts[0].deny: no"], "a"),
  ).toEqual([
    { field: "filesystem.whitelist", text: "entry 2: `etc` is no absolute path" },
    { field: "", text: "there is no custom rule 5" },
    { field: "network.whitelistOutboundPorts.deny", text: "no" },
  ]);
});
