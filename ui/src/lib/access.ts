import { useQuery } from "@tanstack/react-query";

import { api, got, type Shapes } from "./api";
import { useCan } from "./session";

/** What users and groups are limited to; nothing is no limit. */
export type Limits = Shapes["Limits"];

export const USERS = ["access", "users"] as const;
export const GROUPS = ["access", "groups"] as const;
export const ROLES = ["access", "roles"] as const;
export const TOKENS = ["access", "tokens"] as const;
export const SESSIONS = ["access", "sessions"] as const;

/** All roles; who may not read them gets none. */
export function useRoles() {
  const may = useCan("accessRead");
  return useQuery({ queryKey: ROLES, queryFn: () => got(api.GET("/api/v1/rbac/roles")), enabled: may });
}

/** The names of the collections that somebody can be limited to. */
export function useCollectionNames(): string[] {
  const may = useCan("collectionsRead");
  const found = useQuery({ queryKey: ["collections"], queryFn: () => got(api.GET("/api/v1/collections")), enabled: may });
  return (found.data ?? []).map((item) => item.name).filter((name) => name !== "All");
}

/** The collections of limits; none is no limit. */
export function limitedTo(limits: readonly Limits[] | undefined): string[] {
  const names = (limits ?? []).flatMap((item) => item.collections ?? []);
  return names.includes("All") ? [] : [...new Set(names)];
}

/** Limits to these collections. */
export function limits(collections: readonly string[]): Limits[] {
  return collections.length === 0 ? [] : [{ project: "", collections: [...collections] }];
}

/** A permission's name in words: `policyWrite` is “policy: write”. */
export function inWords(permission: string): string {
  const parts = permission.replace(/([A-Z])/g, " $1").toLowerCase().split(" ");
  return `${parts.slice(0, -1).join(" ")}: ${parts.at(-1) ?? ""}`;
}
