import { raw } from "./api";
import { quoted } from "./commands";

/** What is protected: an ECS task definition or template, or a Dockerfile. */
export type Format = "task" | "dockerfile";

/** Everything that one can choose when protecting; the names are the API's. */
export interface Choices {
  consoleaddr: string;
  filesystemMonitoring: boolean;
  extractEntrypoint: boolean;
  findPrivileged: boolean;
  registryType: string;
  registryCredentialID: string;
  defenderImage: string;
  defenderImagePullSecret: string;
  installBundleSecret: string;
  compat: string;
  allow32bit: boolean;
  waasPorts: string;
  /** Of Dockerfiles alone. */
  appID: string;
  dataFolder: string;
  failMode: "open" | "closed";
  target: string;
  architecture: "" | "amd64" | "arm64";
  migrate: boolean;
}

export const DEFAULTS: Choices = {
  consoleaddr: "",
  filesystemMonitoring: false,
  extractEntrypoint: false,
  findPrivileged: false,
  registryType: "",
  registryCredentialID: "",
  defenderImage: "",
  defenderImagePullSecret: "",
  installBundleSecret: "",
  compat: "",
  allow32bit: false,
  waasPorts: "",
  appID: "",
  dataFolder: "/bartizan/",
  failMode: "open",
  target: "",
  architecture: "",
  migrate: false,
};

/** A protected definition: the text, and what people should know. */
export interface Protected {
  text: string;
  warnings: readonly string[];
  syntax: "json" | "yaml";
}

/** The query of the route that protects a task: what differs from doing nothing special. */
export function taskQuery(choices: Choices): URLSearchParams {
  const query = new URLSearchParams({ consoleaddr: choices.consoleaddr.trim() });
  for (const name of ["filesystemMonitoring", "extractEntrypoint", "findPrivileged", "allow32bit"] as const) {
    if (choices[name]) query.set(name, "true");
  }
  const looksUp = choices.extractEntrypoint || choices.findPrivileged;
  for (const name of ["defenderImage", "defenderImagePullSecret", "installBundleSecret", ...(looksUp ? (["registryType", "registryCredentialID"] as const) : [])] as const) {
    if (choices[name].trim()) query.set(name, choices[name].trim());
  }
  for (const name of ["compat", "waasPorts"] as const) for (const value of words(choices[name])) query.append(name, value);
  return query;
}

/** Protect a task definition or template. Throws ApiError. */
export async function protectTask(definition: string, choices: Choices): Promise<Protected> {
  const syntax = syntaxOf(definition);
  const response = await raw(`/api/v1/defenders/fargate.${syntax}?${taskQuery(choices)}`, {
    method: "POST",
    headers: { "Content-Type": syntax === "json" ? "application/json" : "text/yaml" },
    body: definition,
  });
  const said = response.headers.get("Bartizan-Warnings");
  return { text: await response.text(), warnings: said === null ? [] : (JSON.parse(said) as string[]), syntax };
}

/** The body of the route that puts the Defender into a Dockerfile. */
export function dockerfileBody(dockerfile: string, choices: Choices): Record<string, unknown> {
  const body: Record<string, unknown> = {
    appID: choices.appID.trim(),
    dockerfile,
    consoleAddr: choices.consoleaddr.trim(),
    dataFolder: choices.dataFolder.trim(),
    filesystemMonitoring: choices.filesystemMonitoring,
    failMode: choices.failMode,
    extractEntrypoint: choices.extractEntrypoint,
  };
  if (choices.target.trim()) body.target = choices.target.trim();
  if (choices.architecture) body.architecture = choices.architecture;
  if (choices.migrate) body.migrate = true;
  if (choices.compat.trim()) body.compat = true;
  if (choices.allow32bit) body.allow32bit = true;
  if (words(choices.waasPorts).length > 0) body.waasPorts = words(choices.waasPorts);
  if (choices.extractEntrypoint && choices.registryType) body.registryType = choices.registryType;
  if (choices.extractEntrypoint && choices.registryCredentialID) body.registryCredentialID = choices.registryCredentialID;
  return body;
}

/** Put the Defender into a Dockerfile; gives the archive and its name. Throws ApiError. */
export async function protectDockerfile(dockerfile: string, choices: Choices): Promise<{ archive: ArrayBuffer; name: string }> {
  const response = await raw("/api/v1/defenders/app-embedded", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(dockerfileBody(dockerfile, choices)),
  });
  const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1];
  return { archive: await response.arrayBuffer(), name: name ?? "app_embedded_embed.zip" };
}

/** What a definition is written in: JSON begins with a brace. */
export function syntaxOf(definition: string): "json" | "yaml" {
  return definition.trimStart().startsWith("{") ? "json" : "yaml";
}

/** Where an error lies, when it says so: “line 3, column 7: …”. */
export function placeOf(message: string): { line: number; column?: number } | null {
  const found = /\bline (\d+)(?:, column (\d+))?/.exec(message);
  if (!found) return null;
  return { line: Number(found[1]), ...(found[2] === undefined ? {} : { column: Number(found[2]) }) };
}

const TASK_OPTIONS = [
  ["--defender-image", "defenderImage"],
  ["--defender-image-pull-secret", "defenderImagePullSecret"],
  ["--install-bundle-secret", "installBundleSecret"],
] as const;

/** The same with the command line. */
export function cliOf(format: Format, origin: string, choices: Choices): string {
  const host = quoted(choices.consoleaddr.trim());
  const lines = [`bartizan app-embedded ${format === "task" ? "generate-fargate-task" : "embed"}`, `--address ${quoted(origin)} --ca-file ca.pem --user "$USER"`, `--console-host ${host}`];
  if (format === "dockerfile") {
    lines.push(`--app-id ${quoted(choices.appID.trim() || "APP_ID")} --data-folder ${quoted(choices.dataFolder.trim())}`);
    if (choices.failMode !== "open") lines.push(`--fail-mode ${choices.failMode}`);
    if (choices.target.trim()) lines.push(`--target ${quoted(choices.target.trim())}`);
    if (choices.architecture) lines.push(`--platform linux/${choices.architecture}`);
    if (choices.migrate) lines.push("--migrate");
  }
  if (choices.filesystemMonitoring) lines.push("--filesystem-monitoring");
  if (choices.extractEntrypoint) lines.push("--extract-entrypoint");
  if (choices.findPrivileged && format === "task") lines.push("--find-privileged");
  if (choices.allow32bit) lines.push("--allow-32bit");
  if (format === "task") {
    for (const [option, name] of TASK_OPTIONS) if (choices[name].trim()) lines.push(`${option} ${quoted(choices[name].trim())}`);
    for (const container of words(choices.compat)) lines.push(`--compat ${quoted(container)}`);
  } else if (choices.compat) lines.push("--compat");
  for (const port of words(choices.waasPorts)) lines.push(`--waas-port ${quoted(port)}`);
  lines.push(format === "task" ? "--output-file protected.json task.json" : "Dockerfile");
  return lines.join(" \\\n    ");
}

/** The same with curl; the password is asked for, and stands in no list of processes. */
export function curlOf(format: Format, origin: string, choices: Choices): string {
  if (format === "task") {
    return [
      `curl --fail-with-body -s --cacert ca.pem -u "$USER"`,
      `-X POST -H "Content-Type: application/json" --data-binary @task.json -o protected.json`,
      quotedAlways(`${origin}/api/v1/defenders/fargate.json?${taskQuery(choices)}`),
    ].join(" \\\n    ");
  }
  const rest = Object.fromEntries(Object.entries(dockerfileBody("", choices)).filter(([name]) => name !== "dockerfile"));
  return [
    `jq --null-input --rawfile dockerfile Dockerfile ${quotedAlways(`${JSON.stringify(rest)} + {$dockerfile}`)} |`,
    `curl --fail-with-body -s --cacert ca.pem -u "$USER" --json @- -OJ`,
    quotedAlways(`${origin}/api/v1/defenders/app-embedded`),
  ].join(" \\\n    ");
}

function quotedAlways(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}
