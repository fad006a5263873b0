import { ActionIcon, Button, Group, Menu, TextInput } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { IconBookmark, IconTrash } from "@tabler/icons-react";
import { useState, type FormEvent } from "react";

interface Saved {
  name: string;
  query: string;
}

const MOST = 30;

/** Filters by names of the user's own, kept in this browser. */
export function SavedFilters({ storage, query, onChoose }: { storage: string; query: string; onChoose: (query: string) => void }) {
  const [saved, setSaved] = useLocalStorage<readonly Saved[]>({ key: storage, defaultValue: [], getInitialValueInEffect: false });
  const [name, setName] = useState("");
  const save = (event: FormEvent) => {
    event.preventDefault();
    const given = name.trim();
    if (given === "") return;
    setSaved([...saved.filter((item) => item.name !== given), { name: given, query }].slice(-MOST));
    setName("");
  };
  return (
    <Menu position="bottom-end" width={280} trapFocus closeOnItemClick>
      <Menu.Target>
        <Button variant="default" leftSection={<IconBookmark size={15} />}>Saved</Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Saved in this browser</Menu.Label>
        {saved.length === 0 && <Menu.Item disabled>Nothing saved yet</Menu.Item>}
        {saved.map((item) => (
          <Group key={item.name} gap={4} wrap="nowrap">
            <Menu.Item onClick={() => onChoose(item.query)}>{item.name}</Menu.Item>
            <ActionIcon variant="subtle" color="gray" aria-label={`Forget ${item.name}`} onClick={() => setSaved(saved.filter((other) => other.name !== item.name))}>
              <IconTrash size={15} />
            </ActionIcon>
          </Group>
        ))}
        <Menu.Divider />
        <form onSubmit={save}>
          <Group gap={6} p={6} wrap="nowrap">
            <TextInput aria-label="Name of this filter" placeholder="Name of this filter" maxLength={60} flex={1} value={name} onChange={(event) => setName(event.currentTarget.value)} onKeyDown={(event) => event.stopPropagation()} />
            <Button type="submit" variant="light" disabled={name.trim() === ""}>Save</Button>
          </Group>
        </form>
      </Menu.Dropdown>
    </Menu>
  );
}
