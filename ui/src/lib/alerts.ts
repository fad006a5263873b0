import type { Shapes } from "./api";

export type Profile = Shapes["AlertProfileAnswer"];
export type ProfileChange = Shapes["AlertProfileChange"];
/** A trigger; what it leaves out is the default. */
export type Trigger = Partial<Shapes["Trigger"]>;
export type Kind = "appEmbeddedRuntime" | "appEmbeddedAppFirewall" | "incident" | "defender";
export type Block = Exclude<keyof ProfileChange, "name" | "description" | "enabled" | "aggregationPeriodMs" | "policy">;

/** A field of a target's form. */
export interface Field {
  key: string;
  title: string;
  kind: "text" | "secret" | "number" | "switch" | "list" | "choice" | "template" | "pem";
  about?: string;
  example?: string;
  needed?: boolean;
  start?: unknown;
  choices?: readonly { value: string; label: string }[];
}

interface TargetForm {
  block: Block;
  title: string;
  about: string;
  fields: readonly Field[];
}

const PEM: Field = { key: "caCert", title: "Certificate authority", kind: "pem", about: "PEM. Empty: the authorities of the system are trusted." };
const JSON_TEMPLATE: Field = { key: "json", title: "Template", kind: "template", about: "JSON with macros such as #title, #appID, #message, #rule, #count, #event. Empty: all macros." };
const AWS: readonly Field[] = [
  { key: "region", title: "Region", kind: "text", needed: true, example: "eu-central-1" },
  { key: "accessKeyID", title: "Access key ID", kind: "text", needed: true, example: "AKIA…" },
  { key: "secretAccessKey", title: "Secret access key", kind: "secret", needed: true },
  { key: "endpoint", title: "Endpoint", kind: "text", about: "Of a VPC endpoint. Empty: AWS’s own." },
];

/** Where alerts can go, and what each has to be told. */
export const TARGETS: readonly TargetForm[] = [
  {
    block: "webhook", title: "Webhook", about: "JSON by POST to anything, signed if you give a secret",
    fields: [
      { key: "url", title: "Address", kind: "text", needed: true, example: "https://hooks.example.com/bartizan" },
      JSON_TEMPLATE,
      { key: "secret", title: "Signing secret", kind: "secret", about: "X-Bartizan-Signature is an HMAC-SHA-256 of timestamp and body." },
      { key: "authorization", title: "Authorization header", kind: "secret", example: "Bearer …" },
      PEM,
    ],
  },
  {
    block: "slack", title: "Slack", about: "An incoming webhook of Slack or Mattermost",
    fields: [{ key: "webhookUrl", title: "Webhook address", kind: "secret", needed: true, example: "https://hooks.slack.com/services/…" }, { key: "channels", title: "Channel", kind: "list", about: "Only where the webhook leaves the choice." }, PEM],
  },
  {
    block: "email", title: "Email", about: "SMTP over TLS, never in the clear",
    fields: [
      { key: "smtpAddress", title: "Mail server", kind: "text", needed: true, example: "smtp.example.com" },
      { key: "port", title: "Port", kind: "number", start: 587 },
      { key: "ssl", title: "TLS from the first byte (port 465) instead of STARTTLS", kind: "switch", start: false },
      { key: "user", title: "User", kind: "text" },
      { key: "password", title: "Password", kind: "secret" },
      { key: "from", title: "From", kind: "text", needed: true, example: "bartizan@example.com" },
      { key: "recipients", title: "Recipients", kind: "list", needed: true, example: "security@example.com" },
      PEM,
    ],
  },
  {
    block: "syslog", title: "Syslog", about: "RFC 5424 over TLS",
    fields: [{ key: "host", title: "Server", kind: "text", needed: true, example: "logs.example.com" }, { key: "port", title: "Port", kind: "number", start: 6514 }, { key: "facility", title: "Facility", kind: "number", start: 13, about: "0 to 23; 13 is log audit, 16 is local0." }, PEM],
  },
  {
    block: "splunk", title: "Splunk", about: "HTTP Event Collector",
    fields: [{ key: "url", title: "Collector", kind: "text", needed: true, example: "https://splunk.example.com:8088/services/collector/event" }, { key: "authToken", title: "Token", kind: "secret", needed: true }, { key: "index", title: "Index", kind: "text" }, JSON_TEMPLATE, PEM],
  },
  {
    block: "securityHub", title: "AWS Security Hub", about: "A finding (ASFF) for each alert",
    fields: [{ key: "accountID", title: "Account", kind: "text", needed: true, example: "123456789012" }, ...AWS, PEM],
  },
  {
    block: "sqs", title: "Amazon SQS", about: "A message in a queue, FIFO or not",
    fields: [{ key: "queueURL", title: "Queue", kind: "text", needed: true, example: "https://sqs.eu-central-1.amazonaws.com/123456789012/alerts" }, ...AWS, JSON_TEMPLATE, PEM],
  },
  {
    block: "pagerduty", title: "PagerDuty", about: "Events API v2; alike events are one incident there",
    fields: [
      { key: "routingKey", title: "Integration key", kind: "secret", needed: true },
      { key: "severity", title: "Severity", kind: "choice", start: "", choices: [{ value: "", label: "By the event" }, ...["critical", "error", "warning", "info"].map((value) => ({ value, label: value }))] },
      { key: "url", title: "Address", kind: "text", start: "https://events.pagerduty.com/v2/enqueue", needed: true },
      PEM,
    ],
  },
  {
    block: "jira", title: "Jira", about: "An issue for each alert",
    fields: [
      { key: "baseUrl", title: "Address", kind: "text", needed: true, example: "https://example.atlassian.net" },
      { key: "projectKey", title: "Project", kind: "text", needed: true, example: "SEC" },
      { key: "issueType", title: "Issue type", kind: "text", start: "Task", needed: true },
      { key: "priority", title: "Priority", kind: "text", example: "High" },
      { key: "labels", title: "Labels", kind: "list" },
      { key: "user", title: "User", kind: "text", about: "Empty: the token is a personal access token." },
      { key: "apiToken", title: "API token", kind: "secret", needed: true },
      PEM,
    ],
  },
  {
    block: "otlp", title: "OpenTelemetry", about: "Log records by OTLP/HTTP",
    fields: [{ key: "url", title: "Address", kind: "text", needed: true, example: "https://otel.example.com/v1/logs" }, { key: "authorization", title: "Authorization header", kind: "secret", example: "Bearer …" }, PEM],
  },
  {
    block: "file", title: "File of OCSF events", about: "JSON lines in the Console’s data directory, rotated by size",
    fields: [{ key: "name", title: "Name", kind: "text", needed: true, example: "events", about: "The file is alerts/NAME.jsonl." }, { key: "maxMegabytes", title: "Megabytes in one file", kind: "number", start: 100 }, { key: "keep", title: "Older files to keep", kind: "number", start: 5 }],
  },
];

export const KINDS: readonly { kind: Kind; title: string; about: string; effects: readonly string[] }[] = [
  { kind: "appEmbeddedRuntime", title: "Runtime audits", about: "Programs, network and files", effects: ["alert", "prevent"] },
  { kind: "appEmbeddedAppFirewall", title: "WAAS events", about: "Requests that the firewall spoke of", effects: ["alert", "prevent", "ban"] },
  { kind: "incident", title: "Incidents", about: "A new incident; its audits are told by themselves", effects: [] },
  { kind: "defender", title: "Lost Defenders", about: "Gone without a word for five minutes; tasks that ended are not told", effects: [] },
];

export const PERIODS: readonly { value: string; label: string }[] = [
  { value: "0", label: "each event by itself" },
  { value: "1000", label: "one alert in a second" },
  { value: "60000", label: "one alert in a minute" },
  { value: "600000", label: "one alert in ten minutes" },
  { value: "3600000", label: "one alert in an hour" },
  { value: "86400000", label: "one alert in a day" },
];

/** The title of a target by the name of its block. */
export function targetTitle(block: string): string {
  return TARGETS.find((target) => target.block === block)?.title ?? block;
}

/** What a profile tells, in a few words. */
export function told(policy: Record<string, Trigger | undefined>): string {
  const names = KINDS.filter(({ kind }) => policy[kind]?.enabled !== false && policy[kind] !== undefined).map(({ title }) => title);
  return names.length === 0 ? "nothing" : names.join(", ");
}

/** What a form has to send: numbers, lists and texts as they are, secrets only when they were typed. */
export function blockOf(block: Block, values: Record<string, unknown>): Record<string, unknown> {
  const fields = TARGETS.find((target) => target.block === block)?.fields ?? [];
  const found: Record<string, unknown> = {};
  for (const { key, kind, start } of fields) {
    const value = values[key] ?? start;
    if (kind === "secret") {
      if (typeof value === "string" && value !== "") found[key] = { plain: value };
    } else if (value !== undefined && value !== "") found[key] = value;
  }
  return found;
}

/** What a form begins with: what is kept but for secrets, which never come back. */
export function valuesOf(block: Block, kept: unknown): Record<string, unknown> {
  const fields = TARGETS.find((target) => target.block === block)?.fields ?? [];
  const from = (kept ?? {}) as Record<string, unknown>;
  return Object.fromEntries(fields.filter(({ kind }) => kind !== "secret").map(({ key, start }) => [key, from[key] ?? start]));
}

/** The first field that is still to be filled in. */
export function lacking(block: Block, values: Record<string, unknown>, secrets: readonly string[]): Field | undefined {
  const fields = TARGETS.find((target) => target.block === block)?.fields ?? [];
  return fields.find(({ key, kind, needed, start }) => {
    const value = values[key] ?? start;
    if (needed !== true) return false;
    if (kind === "secret") return (value === undefined || value === "") && !secrets.includes(key);
    return value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
  });
}
