import { useLocalStorage } from "@mantine/hooks";

/** How times are shown: in the zone of the browser, or in UTC. */
export type Zone = "local" | "utc";

/** The user's choice of zone, kept in this browser. */
export function useZone() {
  return useLocalStorage<Zone>({ key: "bartizan-zone", defaultValue: "local" });
}
