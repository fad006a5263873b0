import { describe, expect, it } from "vitest";

import { fullTime, relativeTime, shortTime } from "./time";

const NOW = new Date("2026-03-01T12:00:00Z");

describe("times", () => {
  it("are relative in the largest unit that fits", () => {
    expect(relativeTime(new Date("2026-03-01T11:57:00Z"), NOW)).toBe("3 minutes ago");
    expect(relativeTime(new Date("2026-02-28T12:00:00Z"), NOW)).toBe("yesterday");
    expect(relativeTime(new Date("2026-03-01T14:00:00Z"), NOW)).toBe("in 2 hours");
    expect(relativeTime(NOW, NOW)).toBe("now");
  });

  it("are short today and have their day before", () => {
    expect(shortTime(new Date("2026-03-01T00:00:07Z"), "utc", NOW)).toBe("00:00:07");
    expect(shortTime(new Date("2026-02-28T23:59:59Z"), "utc", NOW)).toBe("28 Feb 23:59:59");
  });

  it("say their zone in full", () => {
    expect(fullTime(NOW, "utc")).toBe("01 Mar 2026, 12:00:00 UTC");
  });
});
