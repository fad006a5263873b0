import { Tooltip } from "@mantine/core";

import { useZone } from "~/lib/preferences";
import { fullTime, relativeTime, shortTime } from "~/lib/time";

/** A point in time (RFC 3339 or unix milliseconds), in the user's zone; in full on hover and focus. */
export function Time({ value, relative = false }: { value: string | number | null | undefined; relative?: boolean }) {
  const [zone] = useZone();
  const time = new Date(value ?? Number.NaN);
  if (value === null || value === undefined || value === "" || Number.isNaN(time.getTime()) || time.getUTCFullYear() < 1971) {
    return <span>–</span>;
  }
  const now = new Date();
  return (
    <Tooltip label={fullTime(time, zone)}>
      <time dateTime={time.toISOString()}>{relative ? relativeTime(time, now) : shortTime(time, zone, now)}</time>
    </Tooltip>
  );
}
