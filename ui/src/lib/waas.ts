import type { Shapes } from "./api";

export type WaasPolicy = Shapes["WaasPolicyShape"];
export type WaasRule = Shapes["WaasRule"];
export type WaasApplication = Shapes["WaasApplication"];
export type WaasEndpoint = Shapes["WaasEndpoint"];
export type WaasException = Shapes["WaasException"];

export const EFFECTS = ["disable", "alert", "prevent", "ban"] as const;
export const BOT_EFFECTS = ["disable", "allow", "alert", "prevent", "ban"] as const;
export const ACCESS_EFFECTS = ["disable", "alert", "prevent"] as const;
export const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PROPFIND"];

/** What an effect does, in a few words. */
export const EFFECT_MEANS: Record<string, string> = {
  disable: "Not looked at",
  allow: "Passes, without an event",
  alert: "Passes, with an event",
  prevent: "Block page, with an event",
  ban: "Block page, and the client is banned for a while",
};

interface Group {
  key: GroupKey;
  title: string;
  about: string;
  /** The vendor's group that speaks for one of ours where the policy does not name it. */
  nearest?: GroupKey;
}

export type GroupKey =
  | "sqli" | "xss" | "cmdi" | "codeInjection" | "lfi" | "attackTools" | "shellshock" | "malformedReq"
  | "ssrf" | "nosql" | "ssti" | "xxe" | "deserialisation" | "protocol";

/** The groups of attacks, in the order of the editor. */
export const GROUPS: readonly Group[] = [
  { key: "sqli", title: "SQL injection", about: "SQL in parameters, cookies, header fields and bodies" },
  { key: "xss", title: "Cross-site scripting", about: "Scripts and markup that would run in visitors' browsers" },
  { key: "cmdi", title: "Command injection", about: "Commands of Unix and Windows shells" },
  { key: "codeInjection", title: "Code injection", about: "PHP, Java, Node.js and other code" },
  { key: "lfi", title: "File inclusion", about: "Paths out of the application's folder, local and remote files" },
  { key: "attackTools", title: "Attack tools", about: "Scanners and crawlers that give themselves away" },
  { key: "shellshock", title: "Shellshock", about: "Function definitions for bash (CVE-2014-6271)" },
  { key: "malformedReq", title: "Malformed requests", about: "What breaks HTTP: missing or double header fields, bad encodings" },
  { key: "ssrf", title: "Server-side request forgery", about: "Addresses that the application would fetch for the attacker", nearest: "codeInjection" },
  { key: "ssti", title: "Template injection", about: "Expressions of template engines", nearest: "codeInjection" },
  { key: "deserialisation", title: "Deserialisation", about: "Serialised objects that run code when they are read", nearest: "codeInjection" },
  { key: "nosql", title: "NoSQL and LDAP injection", about: "Operators of MongoDB, filters of LDAP", nearest: "sqli" },
  { key: "xxe", title: "XML external entities", about: "Entities and document types that read files", nearest: "lfi" },
  { key: "protocol", title: "Protocol attacks", about: "Request smuggling, splitting, forbidden methods, session fixation", nearest: "malformedReq" },
];

/** Where an exception can be. */
export const LOCATIONS: readonly { value: WaasException["location"]; label: string; key: string }[] = [
  { value: "queryValues", label: "Any value of the query", key: "" },
  { value: "query", label: "Query parameter", key: "Name" },
  { value: "body", label: "Field of a form", key: "Name" },
  { value: "JSONPath", label: "JSON body", key: "Path, as /order/note" },
  { value: "XMLPath", label: "XML body", key: "Path, as /order/note" },
  { value: "rawBody", label: "Raw body", key: "" },
  { value: "header", label: "Header field", key: "Name" },
  { value: "cookie", label: "Cookie", key: "Name" },
  { value: "UserAgentHeader", label: "User agent", key: "The agent" },
  { value: "path", label: "Path of the URL", key: "The path" },
];

/** The effect of a group of an application, also where the policy leaves it to the vendor's nearest. */
export function effectOf(application: WaasApplication, group: Group): string {
  const own = application[group.key] as { effect?: string } | undefined;
  if (own?.effect !== undefined) return own.effect;
  return group.nearest === undefined ? "disable" : (application[group.nearest]?.effect ?? "disable");
}

/** The exceptions of a group. */
export function exceptionsOf(application: WaasApplication, key: GroupKey): WaasException[] {
  return (application[key] as { exceptionFields?: WaasException[] } | undefined)?.exceptionFields ?? [];
}

/** How many groups have each effect, the strongest first. */
export function strength(rule: WaasRule): { effect: string; groups: number }[] {
  const counts = new Map<string, number>();
  for (const application of rule.applicationsSpec) {
    for (const group of GROUPS) {
      const effect = effectOf(application, group);
      if (effect !== "disable") counts.set(effect, (counts.get(effect) ?? 0) + 1);
    }
  }
  return ["ban", "prevent", "alert"].flatMap((effect) => (counts.has(effect) ? [{ effect, groups: counts.get(effect) ?? 0 }] : []));
}

/** Every port that a rule's applications are reached on, as `80 → 8080`. */
export function portsOf(rule: WaasRule): string[] {
  const ports = rule.applicationsSpec.flatMap((item) => item.apiSpec.endpoints.map((end) => `${end.exposedPort} → ${end.internalPort}${end.tls ? " TLS" : ""}`));
  return [...new Set(ports)];
}

/** A new application: the attacks of the web in alert, so that nothing breaks while its traffic is looked at. */
export function newApplication(name: string, ports: { exposedPort: number; internalPort: number }): WaasApplication {
  const application: Record<string, unknown> = {
    appID: name,
    apiSpec: { endpoints: [{ host: "*", basePath: "*", ...ports, tls: false, http2: false, grpc: false }] },
  };
  for (const group of GROUPS) if (group.nearest === undefined) application[group.key] = { effect: "alert", exceptionFields: [] };
  return application as unknown as WaasApplication;
}

/** A new rule with one application. */
export function newRule(name: string): WaasRule {
  return {
    name,
    collections: [{ name: "All" }],
    applicationsSpec: [newApplication("app", { exposedPort: 80, internalPort: 8080 })],
    profile: "balanced",
    readTimeoutSeconds: 5,
    forwardedFor: "nearestUntrusted",
    disabled: false,
    notes: "",
  } as unknown as WaasRule;
}
