import { Button, Group, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconSearch, IconX } from "@tabler/icons-react";
import { useCallback, useState, type ReactNode } from "react";
import { useSearchParams } from "react-router";

/** The filters of a page, which live in its address so that they can be sent and bookmarked. */
export function useFilters() {
  const [params, setParams] = useSearchParams();
  const get = useCallback((name: string) => params.get(name) ?? "", [params]);
  const all = useCallback((name: string) => params.getAll(name), [params]);
  const set = useCallback(
    (changes: Record<string, string | readonly string[] | null>) =>
      setParams(
        (before) => {
          const after = new URLSearchParams(before);
          for (const [name, value] of Object.entries(changes)) {
            after.delete(name);
            for (const item of typeof value === "string" ? [value] : (value ?? [])) if (item) after.append(name, item);
          }
          return after;
        },
        { replace: true },
      ),
    [setParams],
  );
  const clear = useCallback(() => setParams({}, { replace: true }), [setParams]);
  return { params, get, all, set, clear };
}

/** A search field (the parameter `search`), further filters as children, and a way to drop them all. */
export function FilterBar({ placeholder = "Search", children, search = "search" }: { placeholder?: string; children?: ReactNode; search?: string | null }) {
  const { params, get, set, clear } = useFilters();
  // The field keeps what is being typed; only clearing makes it anew.
  const [cleared, setCleared] = useState(0);
  return (
    <Group gap="xs" role="search" align="flex-end">
      {search !== null && <Search key={cleared} placeholder={placeholder} initial={get(search)} onSearch={(text) => set({ [search]: text })} />}
      {children}
      {params.size > 0 && (
        <Button variant="subtle" size="sm" leftSection={<IconX size={14} />} onClick={() => { clear(); setCleared(cleared + 1); }}>Clear</Button>
      )}
    </Group>
  );
}

function Search({ placeholder, initial, onSearch }: { placeholder: string; initial: string; onSearch: (text: string) => void }) {
  const [text, setText] = useState(initial);
  const later = useDebouncedCallback(onSearch, 250);
  return (
    <TextInput
      type="search"
      aria-label={placeholder}
      placeholder={placeholder}
      leftSection={<IconSearch size={15} />}
      w={260}
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value);
        later(event.currentTarget.value);
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter") onSearch(text);
      }}
    />
  );
}
