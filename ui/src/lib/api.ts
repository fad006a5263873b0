import createClient from "openapi-fetch";

import type { components, paths } from "./schema";

/** The shapes of the API by name. */
export type Shapes = components["schemas"];

/** A refusal of the Console: what it said, and its reasons one by one where there are several. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly err: string,
    readonly problems: readonly string[] = [],
    readonly body: unknown = undefined,
  ) {
    super(err);
    this.name = "ApiError";
  }
}

/** Sent with every request: other sites cannot send it, so a cookie alone changes nothing. */
export const REQUEST_HEADER = { "X-Bartizan-Request": "1" } as const;

/** The typed client; answers that are no success are thrown as ApiError. */
export const api = createClient<paths>({ headers: REQUEST_HEADER, credentials: "same-origin" });

api.use({
  async onResponse({ response }) {
    if (!response.ok) throw await refusal(response);
  },
  onError() {
    return new ApiError(0, "the Console does not answer: check that it runs and that the network is up");
  },
});

/** Give the data of an answer: refusals were thrown before. */
export async function got<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T;
}

/** Call a path that takes or gives no JSON (files, YAML). Throws ApiError. */
export async function raw(path: string, options: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {
      credentials: "same-origin",
      ...options,
      headers: { ...REQUEST_HEADER, ...(options.headers as Record<string, string> | undefined) },
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "the Console does not answer: check that it runs and that the network is up");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response: Response): Promise<ApiError> {
  let body: unknown;
  try {
    body = await response.clone().json();
  } catch {
    return new ApiError(response.status, `the Console answered with status ${response.status}`);
  }
  const { err, problems } = (body ?? {}) as { err?: unknown; problems?: unknown };
  return new ApiError(
    response.status,
    typeof err === "string" ? err : `the Console answered with status ${response.status}`,
    Array.isArray(problems) ? problems.map(String) : [],
    body,
  );
}
