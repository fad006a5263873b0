import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useState, type ReactNode } from "react";

import { Problem } from "./Problem";

interface Question {
  opened: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  /** The word on the button: what will be done. */
  action: string;
  /** What does it; the dialogue closes when it succeeds, and shows why when it fails. */
  onConfirm: () => Promise<unknown>;
  danger?: boolean;
  /** What must be typed first, for what cannot be undone. */
  typed?: string;
}

/** Ask before something that matters. */
export function Confirm({ opened, onClose, ...rest }: Question) {
  return (
    <Modal opened={opened} onClose={onClose} title={rest.title} keepMounted={false} zIndex={300}>
      {opened && <Body onClose={onClose} {...rest} />}
    </Modal>
  );
}

function Body({ onClose, children, action, onConfirm, danger = false, typed }: Omit<Question, "opened" | "title">) {
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const confirm = async () => {
    setBusy(true);
    setError(null);
    try {
      await onConfirm();
      onClose();
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Stack gap="sm">
      <Text component="div" size="sm">{children}</Text>
      {typed !== undefined && <TextInput label={<>Type <code>{typed}</code> to go on</>} value={said} onChange={(event) => setSaid(event.currentTarget.value)} data-autofocus />}
      <Problem error={error} />
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>Cancel</Button>
        <Button color={danger ? "red.9" : undefined} loading={busy} disabled={typed !== undefined && said !== typed} onClick={() => void confirm()} data-autofocus={typed === undefined || undefined}>
          {action}
        </Button>
      </Group>
    </Stack>
  );
}
