import { useMutation, useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";

import { ApiError, raw } from "./api";

/** Who is signed in, and what they may do. */
export interface Session {
  username: string;
  role: string;
  permissions: readonly string[];
  collections: readonly string[];
}

/** `null` is nobody; `ended` tells a session that was there from one that never was. */
export interface SignedIn {
  session: Session | null;
  ended: boolean;
}

const KEY = ["session"] as const;
const PATH = "/api/v1/session";

/** Who is signed in; asked once, then kept until it ends. */
export function useSignedIn() {
  return useQuery<SignedIn>({
    queryKey: KEY,
    queryFn: async () => {
      try {
        return { session: (await (await raw(PATH)).json()) as Session, ended: false };
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return { session: null, ended: false };
        throw error;
      }
    },
    staleTime: Infinity,
    gcTime: Infinity,
    retry: false,
  });
}

/** Whether an administrator is set up already. */
export function useInitialized(enabled: boolean) {
  return useQuery({
    queryKey: ["initialized"],
    queryFn: async () => ((await (await raw("/api/v1/settings/initialized")).json()) as { initialized: boolean }).initialized,
    enabled,
    staleTime: Infinity,
  });
}

/** Sign in; throws ApiError when refused. */
export function useSignIn() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (given: { username: string; password: string }) => (await (await send("POST", PATH, given)).json()) as Session,
    onSuccess: (session) => {
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== KEY[0] });
      client.setQueryData<SignedIn>(KEY, { session, ended: false });
    },
  });
}

/** Make the first administrator with the set-up token, and sign them in. */
export function useSetUp() {
  const client = useQueryClient();
  const signIn = useSignIn();
  return useMutation({
    mutationFn: async (given: { username: string; password: string; token: string }) => {
      await send("POST", "/api/v1/signup", given);
      client.setQueryData(["initialized"], true);
      await signIn.mutateAsync({ username: given.username, password: given.password });
    },
  });
}

/** Sign out, and forget everything that was read. */
export function useSignOut() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => raw(PATH, { method: "DELETE" }),
    onSettled: () => {
      client.setQueryData<SignedIn>(KEY, { session: null, ended: false });
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== KEY[0] });
    },
  });
}

/** Note that the Console no longer knows the session. */
export function sessionEnded(client: QueryClient): void {
  const before = client.getQueryData<SignedIn>(KEY);
  if (before?.session) client.setQueryData<SignedIn>(KEY, { session: null, ended: true });
}

/** What the API lets those do who are limited to collections. */
const SCOPED: ReadonlySet<string> = new Set(["auditsRead", "defendersRead", "forensicsRead", "incidentsAcknowledge"]);

/** Whether somebody has a permission (its name in the API, as `policyWrite`), and it is of use with their limits. */
export function can(session: Session, permission: string): boolean {
  return session.permissions.includes(permission) && (session.collections.length === 0 || SCOPED.has(permission));
}

/** Whether the signed-in user can do what needs a permission. */
export function useCan(permission: string): boolean {
  const session = useSignedIn().data?.session;
  return session ? can(session, permission) : false;
}

function send(method: string, path: string, body: unknown): Promise<Response> {
  return raw(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}
