import { describe, expect, it } from "vitest";

import type { Shapes } from "./api";
import { attention } from "./attention";

const CALM: Shapes["OverviewAnswer"] = {
  time: "2026-03-01T12:00:00Z",
  defenders: { total: 2, connected: 2, byType: {}, byState: { connected: 2 }, bySync: { inSync: 2 }, gaps: {}, outdated: 0, certificatesEndSoon: 0 },
  events: { hours: [], day: {}, week: {}, topRules: [], topApps: [], searchedTo: "" },
  incidents: {},
  learning: { profiles: 0, byStage: {} },
  console: { version: "1", defenderArchitectures: [], names: [], caExpiration: "", caDays: 3000 },
};

describe("what needs attention", () => {
  it("is nothing while all is well", () => {
    expect(attention(CALM)).toEqual([]);
  });

  it("has the worst first, and counts one as one", () => {
    const found = attention({
      ...CALM,
      incidents: { high: 1, low: 1 },
      defenders: { ...CALM.defenders, outdated: 1, byState: { lost: 1 }, gaps: { port: 3 } },
      console: { ...CALM.console, caDays: 80 },
    });
    expect(found.map((item) => item.text)).toEqual([
      "2 incidents are open",
      "1 Defender went away without a goodbye",
      "3 Defenders have ports open beside the firewall",
      "The certificate authority ends in 80 days",
      "1 Defender has another version than the Console",
    ]);
  });
});
