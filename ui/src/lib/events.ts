import type { Shapes } from "./api";

export type SecurityEvent = Shapes["SecurityEvent"];
export type EventDetail = Shapes["EventDetail"];

/** The facets in the order in which they are shown; the parameter is what the API and the page's address call it. */
export const FACETS = [
  { name: "kind", parameter: "kind", title: "Kind" },
  { name: "effect", parameter: "effect", title: "Effect" },
  { name: "severity", parameter: "severity", title: "Severity" },
  { name: "type", parameter: "type", title: "Type" },
  { name: "reason", parameter: "reason", title: "Reason" },
  { name: "protection", parameter: "protection", title: "Protection" },
  { name: "appID", parameter: "appID", title: "App ID" },
  { name: "containerName", parameter: "container", title: "Container" },
  { name: "imageName", parameter: "imageName", title: "Image" },
  { name: "ruleName", parameter: "ruleName", title: "Rule" },
  { name: "country", parameter: "country", title: "Country" },
] as const;

/** Filters that come by links from other pages, and have no facet of their own. */
const FURTHER = ["q", "attackType", "attackTechniques", "user", "processPath", "ruleAppID", "subnet", "method", "requestHost", "urlPath", "eventID"];
const FILTERS = [...FACETS.map((facet) => facet.parameter as string), ...FURTHER];

/** Spans of time to choose from, in milliseconds; no span is all that is kept. */
export const RANGES: Record<string, { title: string; span: number | null }> = {
  "15m": { title: "Last 15 minutes", span: 900_000 },
  "1h": { title: "Last hour", span: 3_600_000 },
  "24h": { title: "Last 24 hours", span: 86_400_000 },
  "7d": { title: "Last 7 days", span: 7 * 86_400_000 },
  "30d": { title: "Last 30 days", span: 30 * 86_400_000 },
  all: { title: "All that is kept", span: null },
};
export const DEFAULT_RANGE = "24h";

/** The query of a question about events: the filters of the page's address, and between which times. */
export function eventQuery(address: URLSearchParams, now: number, times = true): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of FILTERS) for (const value of address.getAll(name)) if (value) query.append(name, value);
  if (!times) return query;
  const { from, to } = span(address, now);
  if (from !== null) query.set("from", new Date(from).toISOString());
  if (to !== null) query.set("to", new Date(to).toISOString());
  return query;
}

/** Between which times an address asks: two times of its own, or a span until now. */
export function span(address: URLSearchParams, now: number): { from: number | null; to: number | null } {
  const [from, to] = [Date.parse(address.get("from") ?? ""), Date.parse(address.get("to") ?? "")];
  if (!Number.isNaN(from) || !Number.isNaN(to)) return { from: Number.isNaN(from) ? null : from, to: Number.isNaN(to) ? null : to };
  const range = RANGES[address.get("range") ?? DEFAULT_RANGE] ?? RANGES[DEFAULT_RANGE];
  return { from: range?.span ? now - range.span : null, to: null };
}

/** How many filters an address has, times not counted. */
export function filterCount(address: URLSearchParams): number {
  return FILTERS.reduce((sum, name) => sum + address.getAll(name).filter(Boolean).length, 0);
}

/** What both kinds of events have, by one name. */
export function facts(event: SecurityEvent) {
  const { runtime, waas } = event;
  const audit = runtime ?? waas;
  return {
    time: audit?.time ?? "",
    effect: audit?.effect ?? "",
    severity: runtime?.severity ?? "",
    title: runtime ? words(runtime.reason || runtime.attackType) : words(waas?.type ?? ""),
    message: audit?.msg ?? "",
    app: audit?.appID ?? "",
    container: audit?.containerName ?? "",
    image: audit?.imageName ?? "",
    rule: audit?.ruleName ?? "",
    count: audit?.count ?? 1,
    techniques: audit?.attackTechniques ?? [],
  };
}

const TERMS: Record<string, string> = {
  sqli: "SQL injection", xss: "Cross-site scripting", cmdi: "Command injection", lfi: "Local file inclusion", ssrf: "Server-side request forgery",
  ssti: "Template injection", xxe: "XML external entity", nosql: "NoSQL injection", dos: "Too many requests", deniedIP: "Denied address",
  deniedCountry: "Denied country", unexpectedAPI: "Unexpected API request", waas: "WAAS", csrf: "Cross-site request forgery",
};

/** Show a name of the API as words: `processNotAllowed` as “Process not allowed”. */
export function words(name: string): string {
  if (TERMS[name]) return TERMS[name];
  const spaced = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  return spaced.slice(0, 1).toUpperCase() + spaced.slice(1).replace(/\b(dns|ip|ssh|elf|http)\b/g, (word) => word.toUpperCase());
}
