/** JSON that a form edits: fields that the form does not know stay as they are. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Place = readonly (string | number)[];

/** Give what is at a place of a document, undefined where there is nothing. */
export function at(document: unknown, place: Place): unknown {
  let found: unknown = document;
  for (const step of place) {
    if (found === null || typeof found !== "object") return undefined;
    found = (found as Record<string | number, unknown>)[step];
  }
  return found;
}

/** Give a copy of a document with a value at a place; objects on the way are made, `undefined` removes. */
export function withAt<T>(document: T, place: Place, value: unknown): T {
  const [step, ...rest] = place;
  if (step === undefined) return value as T;
  if (Array.isArray(document)) {
    const items = [...(document as unknown[])];
    items[step as number] = withAt(items[step as number], rest, value);
    return items as T;
  }
  const before = (document !== null && typeof document === "object" ? document : {}) as Record<string, unknown>;
  const after = { ...before, [step]: withAt(before[step], rest, value) };
  if (rest.length === 0 && value === undefined) Reflect.deleteProperty(after, step);
  return after as T;
}

/** Give a list with one item moved to another index. */
export function moved<T>(items: readonly T[], from: number, to: number): T[] {
  const rest = items.filter((_, index) => index !== from);
  const item = items[from];
  return item === undefined ? [...items] : [...rest.slice(0, to), item, ...rest.slice(to)];
}

/** Give a text of JSON as people read it. */
export function pretty(document: unknown): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}
