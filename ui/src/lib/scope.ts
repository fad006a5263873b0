/** The fields of a scope: every field has to match, in a field any one pattern. */
export const SCOPE_FIELDS = [
  { key: "appIDs", title: "App IDs", one: "App ID", example: "shop:*", about: "The App ID of a task or application" },
  { key: "images", title: "Images", one: "image", example: "registry.example.com/shop:*", about: "The image, as the definition names it" },
  { key: "containers", title: "Containers", one: "container", example: "web", about: "The name of the container in its task" },
  { key: "labels", title: "Labels", one: "label", example: "environment:production", about: "Docker labels, as key:value; not told by Defenders yet" },
  { key: "accountIDs", title: "Accounts", one: "account", example: "123456789012", about: "The AWS account; not told by Defenders yet" },
  { key: "clusters", title: "Clusters", one: "cluster", example: "production", about: "The ECS cluster; not told by Defenders yet" },
] as const;

export type ScopeKey = (typeof SCOPE_FIELDS)[number]["key"];

/** The patterns of each field. */
export type ScopeValue = Record<ScopeKey, string[]>;

/** Give a scope's patterns without the fields that ask for nothing, `["*"]` or none. */
export function asked(scope: ScopeValue): { key: ScopeKey; one: string; title: string; patterns: readonly string[] }[] {
  return SCOPE_FIELDS.map(({ key, one, title }) => ({ key, one, title, patterns: scope[key] })).filter(
    ({ patterns }) => patterns.length > 0 && !(patterns.length === 1 && patterns[0] === "*"),
  );
}

/** Take the patterns of a scope out of what has more. */
export function scopeOf(given: Partial<ScopeValue>): ScopeValue {
  const scope = {} as ScopeValue;
  for (const { key } of SCOPE_FIELDS) scope[key] = [...(given[key] ?? [])];
  return scope;
}
