import { raw, type Shapes } from "./api";

export type Rule = Shapes["RuntimeRule"];
export type Policy = Shapes["RuntimePolicyShape"];
export type Change = Shapes["RuleDifference"];
export type EffectName = "disable" | "alert" | "prevent";

export const POLICY_PATH = "/api/v1/policies/runtime/app-embedded";
export const POLICY_KEY = ["policies", "runtime"] as const;

/** The rules in force, and the revision by which a change of them is recognised as late. */
export interface InForce {
  etag: string;
  revision: number;
  rules: Rule[];
}

/** Ask for the policy in force. */
export async function readPolicy(): Promise<InForce> {
  const answer = await raw(POLICY_PATH);
  const etag = answer.headers.get("ETag") ?? "";
  return { etag, revision: Number(answer.headers.get("Policy-Revision") ?? 0), rules: ((await answer.json()) as Policy).rules };
}

/** Put rules in force; refused with 412 when the policy is not that of `etag` any more. */
export async function savePolicy(rules: readonly Rule[], etag: string, comment: string): Promise<void> {
  const query = comment === "" ? "" : `?${new URLSearchParams({ comment })}`;
  await raw(`${POLICY_PATH}${query}`, { method: "PUT", headers: { "Content-Type": "application/json", "If-Match": etag }, body: JSON.stringify({ rules: rules.map(sent) }) });
}

/** What is wrong with rules, and what they would change in the policy in force. */
export async function checkRules(rules: readonly Rule[], signal?: AbortSignal): Promise<Shapes["PolicyCheck"]> {
  const answer = await raw(`${POLICY_PATH}/check`, { method: "POST", body: JSON.stringify({ rules: rules.map(sent) }), ...(signal ? { signal } : {}) });
  return (await answer.json()) as Shapes["PolicyCheck"];
}

/** A rule, or a whole policy, as YAML. */
export async function asYaml(rules: readonly Rule[]): Promise<string> {
  return (await raw(`${POLICY_PATH}/convert`, { method: "POST", body: JSON.stringify({ rules: rules.map(sent) }) })).text();
}

/** The rules of a text of JSON or YAML. Throws ApiError with every problem. */
export async function readRules(text: string): Promise<Rule[]> {
  const answer = await raw(`${POLICY_PATH}/convert?file_format=json`, { method: "POST", body: text });
  return ((await answer.json()) as Policy).rules;
}

/** What a rule would have done in the last days. */
export async function tryRules(rules: readonly Rule[], days: number): Promise<Shapes["TrialAnswer"]> {
  const answer = await raw(`${POLICY_PATH}/trial`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ policy: { rules: rules.map(sent) }, days }) });
  return (await answer.json()) as Shapes["TrialAnswer"];
}

/** A rule as it is sent: without what the Console sets itself. */
function sent(rule: Rule): Partial<Rule> {
  return Object.fromEntries(Object.entries(rule).filter(([key]) => !["owner", "modified", "previousName"].includes(key)));
}

/** A rule that forbids nothing yet. */
export function emptyRule(name: string): Rule {
  return {
    name,
    notes: "",
    disabled: false,
    previousName: "",
    owner: "",
    modified: "",
    collections: [{ name: "All", images: [], containers: [], appIDs: [], labels: [], accountIDs: [], clusters: [], description: "", color: "" }],
    processes: { effect: "alert", whitelist: [], blacklist: [], checkNewBinaries: false, checkCryptoMiners: true, checkLateralMovement: false, skipModified: true, blockAllBinaries: false },
    dns: { effect: "disable", whitelist: [], blacklist: [] },
    network: { effect: "disable", whitelistIPs: [], blacklistIPs: [], whitelistOutboundPorts: [], blacklistOutboundPorts: [], whitelistListeningPorts: [], blacklistListeningPorts: [], checkUnresolvedPrivate: false },
    filesystem: { effect: "disable", whitelist: [], blacklist: [], checkNewFiles: false, backdoorFiles: false, suspiciousELFHeaders: false, skipEncryptedBinaries: true },
    customRules: [],
    advancedProtection: false,
    detections: {},
  };
}

/** A name that no rule has yet. */
export function freeName(wanted: string, rules: readonly Rule[]): string {
  const taken = new Set(rules.map((rule) => rule.name));
  if (!taken.has(wanted)) return wanted;
  for (let number = 2; ; number++) if (!taken.has(`${wanted} ${number}`)) return `${wanted} ${number}`;
}

/** The rules with one of them at another place. */
export function moved<T>(items: readonly T[], from: number, to: number): T[] {
  const rest = [...items];
  const [item] = rest.splice(from, 1);
  if (item !== undefined) rest.splice(Math.max(0, Math.min(rest.length, to)), 0, item);
  return rest;
}

/** Whether two rules mean the same, whoever changed them last. */
export function alike(one: Rule | undefined, other: Rule | undefined): boolean {
  return one !== undefined && other !== undefined && JSON.stringify(ordered(sent(one))) === JSON.stringify(ordered(sent(other)));
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)).map(([key, item]) => [key, ordered(item)]));
}

/** Whether nothing would change by putting `rules` in the place of `base`. */
export function unchanged(base: readonly Rule[], rules: readonly Rule[]): boolean {
  return base.length === rules.length && rules.every((rule, index) => base[index]?.name === rule.name && alike(base[index], rule));
}

/** My changes on top of what somebody else made of the same policy; `both` are the rules that both of us changed. */
export function merged(base: readonly Rule[], mine: readonly Rule[], theirs: readonly Rule[]): { rules: Rule[]; both: string[] } {
  const [was, my, their] = [base, mine, theirs].map(named) as [Map<string, Rule>, Map<string, Rule>, Map<string, Rule>];
  const changed = (rules: Map<string, Rule>, name: string) => rules.has(name) !== was.has(name) || (rules.has(name) && !alike(was.get(name), rules.get(name)));
  const names = new Set([...was.keys(), ...my.keys(), ...their.keys()]);
  const both = [...names].filter((name) => changed(my, name) && changed(their, name) && !alike(my.get(name), their.get(name)) && (my.has(name) || their.has(name)));
  const pick = (name: string) => (changed(my, name) ? my.get(name) : their.get(name));
  // My order if I changed it, theirs otherwise; what only the other has comes behind its neighbour there.
  const [lead, other] = sameOrder(base, mine) ? [theirs, mine] : [mine, theirs];
  const order = lead.map((rule) => rule.name);
  other.forEach((rule, index) => {
    if (order.includes(rule.name)) return;
    const before = other.slice(0, index).findLast((item) => order.includes(item.name));
    order.splice(before ? order.indexOf(before.name) + 1 : 0, 0, rule.name);
  });
  return { rules: order.flatMap((name) => pick(name) ?? []), both };
}

function sameOrder(base: readonly Rule[], rules: readonly Rule[]): boolean {
  const kept = rules.map((rule) => rule.name).filter((name) => base.some((item) => item.name === name));
  return base.map((rule) => rule.name).filter((name) => kept.includes(name)).every((name, index) => kept[index] === name);
}

function named(rules: readonly Rule[]): Map<string, Rule> {
  return new Map(rules.map((rule) => [rule.name, rule]));
}

/** A problem of a rule, by the field that it is about: `processes.blacklist`, and its place in the list. */
export interface Placed {
  field: string;
  text: string;
}

/** The problems of one rule with the fields they are about; an empty field for what is about the whole. */
export function placed(problems: readonly string[], name: string): Placed[] {
  const lead = `rule \`${name}\`: `;
  return problems
    .filter((problem) => problem.startsWith(lead) || !/^rule `/.test(problem))
    .map((problem) => {
      const rest = problem.startsWith(lead) ? problem.slice(lead.length) : problem;
      const found = /^([a-zA-Z]+(?:(?:\[\d+\])?\.[a-zA-Z]+)*)((?:\[\d+\])?): (.*)$/s.exec(rest);
      if (!found) return { field: /name/.test(rest) ? "name" : "", text: rest };
      const [, path = "", index = "", text = ""] = found;
      const at = /\[(\d+)\]/.exec(index);
      return { field: path.replace(/\[\d+\]/g, "").replace(/^rules\./, ""), text: at ? `entry ${Number(at[1]) + 1}: ${text}` : text };
    });
}

/** What a rule does in one line each: the parts that are on. */
export function inForceParts(rule: Rule): { part: string; effect: EffectName }[] {
  const parts = ([["processes", rule.processes], ["network", rule.network], ["dns", rule.dns], ["files", rule.filesystem]] as const).flatMap(
    ([part, section]) => (section && section.effect !== "disable" ? [{ part, effect: section.effect }] : []),
  );
  const effects = Object.values(rule.detections ?? {});
  if (effects.includes("prevent")) parts.push({ part: "detections" as never, effect: "prevent" });
  else if (effects.includes("alert") || rule.advancedProtection) parts.push({ part: "detections" as never, effect: "alert" });
  return parts;
}
