import { quoted } from "./commands";

/** What a route takes in its path or query. */
export interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema?: Schema;
}

/** So much of JSON Schema as our document has. */
export interface Schema {
  $ref?: string;
  type?: string;
  format?: string;
  enum?: readonly unknown[];
  anyOf?: readonly Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: readonly string[];
  additionalProperties?: Schema | boolean;
  description?: string;
  default?: unknown;
}

type Content = Record<string, { schema?: Schema; example?: unknown }>;

interface Operation {
  description?: string;
  tags?: readonly string[];
  parameters?: readonly Parameter[];
  requestBody?: { content?: Content };
  responses?: Record<string, { description?: string; content?: Content }>;
  "x-permission"?: string;
}

/** The OpenAPI document of the Console. */
export interface OpenApi {
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
}

/** One route as it is shown. */
export interface Route {
  id: string;
  method: string;
  path: string;
  tag: string;
  permission: string;
  summary: string;
  description: string;
  parameters: readonly Parameter[];
  takes: { media: string; example: string } | null;
  gives: { media: string; text: string; example: string } | null;
}

/** All routes of a document, in its order. */
export function routesOf(document: OpenApi): Route[] {
  const schemas = document.components?.schemas ?? {};
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Route => {
      const description = operation.description ?? "";
      const answer = operation.responses?.["200"] ?? operation.responses?.["202"];
      const body = first(operation.requestBody?.content);
      const given = first(answer?.content);
      return {
        id: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path,
        tag: operation.tags?.[0] ?? "other",
        permission: operation["x-permission"] ?? "",
        summary: description.split("\n\n")[0]?.replaceAll("\n", " ") ?? "",
        description: description.split("\n\n").slice(1).join("\n\n"),
        parameters: operation.parameters ?? [],
        takes: body && { media: body[0], example: exampleText(body[1], schemas) },
        gives: given && { media: given[0], text: answer?.description ?? "", example: exampleText(given[1], schemas) },
      };
    }),
  );
}

/** The routes in which every word of a text stands. */
export function search(routes: readonly Route[], text: string): readonly Route[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return routes.filter((route) => {
    const haystack = `${route.id} ${route.tag} ${route.summary} ${route.description} ${route.parameters.map((item) => item.name).join(" ")}`.toLowerCase();
    return words.every((word) => haystack.includes(word));
  });
}

/** The call of a route with curl; what has to be filled in is in capitals. */
export function curl(route: Route, origin: string): string {
  const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase());
  const required = route.parameters.filter((item) => item.in === "query" && item.required).map((item) => `${item.name}=${item.name.toUpperCase()}`);
  const lines = [`curl --fail-with-body -s --cacert ca.pem${route.permission === "public" ? "" : ' -u "$USER"'}`];
  if (route.method !== "GET") lines.push(`-X ${route.method}`);
  if (route.takes) lines.push(route.takes.media === "application/json" ? "--json @body.json" : `-H ${quoted(`Content-Type:${route.takes.media}`)} --data-binary @body`);
  lines.push(`'${origin}${path}${required.length > 0 ? `?${required.join("&")}` : ""}'`);
  return lines.join(" \\\n    ");
}

/** An example value of a schema: its own, or one made of what it says; recursion ends at a depth. */
export function exampleOf(schema: Schema | undefined, schemas: Record<string, Schema>, depth = 0): unknown {
  if (!schema || depth > 5) return null;
  if (schema.$ref) return exampleOf(schemas[schema.$ref.split("/").at(-1) ?? ""], schemas, depth + 1);
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return exampleOf(schema.anyOf.find((item) => item.type !== "null"), schemas, depth);
  if (schema.properties) return Object.fromEntries(Object.entries(schema.properties).map(([name, item]) => [name, exampleOf(item, schemas, depth + 1)]));
  switch (schema.type) {
    case "array":
      return [exampleOf(schema.items, schemas, depth + 1)].filter((item) => item !== null);
    case "integer":
    case "number":
      return 0;
    case "boolean":
      return false;
    case "string":
      return schema.format === "date-time" ? "2026-11-20T09:14:02Z" : "…";
    case "object":
      return {};
    default:
      return null;
  }
}

function first(content: Content | undefined): [string, { schema?: Schema; example?: unknown }] | null {
  return content ? (Object.entries(content)[0] ?? null) : null;
}

function exampleText(content: { schema?: Schema; example?: unknown }, schemas: Record<string, Schema>): string {
  const value = content.example ?? exampleOf(content.schema, schemas);
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
