import { Button, Group, Modal, Stack } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import type { FormEvent, ReactNode } from "react";

import { Problem } from "~/components/Problem";

interface Form {
  title: string;
  action: string;
  /** Why it cannot be sent yet; nothing when it can. */
  lacks?: string;
  onClose: () => void;
  onSubmit: () => Promise<unknown>;
  children: ReactNode;
  /** A button on the left, as to remove. */
  extra?: ReactNode;
}

/** A dialogue with a form: it closes when the Console took it, and says why when not. */
export function Editor({ title, action, lacks, onClose, onSubmit, children, extra }: Form) {
  const sending = useMutation({ mutationFn: onSubmit, onSuccess: onClose });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!lacks) sending.mutate();
  };
  return (
    <Modal opened onClose={onClose} title={title} size="lg" closeButtonProps={{ "aria-label": "Close" }} attributes={{ header: { role: "presentation" } }}>
      <form onSubmit={submit}>
        <Stack gap="sm">
          {children}
          <Problem error={sending.error} />
          <Group justify="space-between" gap="xs">
            <div>{extra}</div>
            <Group gap="xs">
              <Button variant="default" onClick={onClose}>Cancel</Button>
              <Button type="submit" loading={sending.isPending} disabled={Boolean(lacks)} title={lacks}>{action}</Button>
            </Group>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
