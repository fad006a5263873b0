import type { Zone } from "./preferences";

/** Show a time in full, to the second; the zone is part of it. */
export function fullTime(time: Date, zone: Zone): string {
  return new Intl.DateTimeFormat("en-GB", {
    year: "numeric",
    month: "short",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
    timeZoneName: "short",
    ...(zone === "utc" ? { timeZone: "UTC" } : {}),
  }).format(time);
}

/** Show a time briefly: the hour today, else with its day. */
export function shortTime(time: Date, zone: Zone, now: Date): string {
  const timeZone = zone === "utc" ? { timeZone: "UTC" } : {};
  const day = (value: Date) => new Intl.DateTimeFormat("en-CA", { dateStyle: "short", ...timeZone }).format(value);
  const hour = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", hourCycle: "h23", ...timeZone }).format(time);
  if (day(time) === day(now)) return hour;
  const date = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", ...timeZone }).format(time);
  return `${date} ${hour}`;
}

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1000],
];

/** Show how far a time lies from now, as “3 minutes ago”. */
export function relativeTime(time: Date, now: Date): string {
  const distance = time.getTime() - now.getTime();
  const [unit, size] = UNITS.find(([, milliseconds]) => Math.abs(distance) >= milliseconds) ?? (["second", 1000] as const);
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(Math.round(distance / size), unit);
}
