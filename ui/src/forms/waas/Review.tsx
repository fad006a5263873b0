import { Button, Group, Modal, Skeleton, Stack, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { Changes } from "~/components/Changes";
import { Problem } from "~/components/Problem";
import { ApiError, api, got, type Shapes } from "~/lib/api";
import type { WaasPolicy } from "~/lib/waas";

interface Review {
  /** What would be saved; null shows nothing. */
  policy: WaasPolicy | null;
  /** The ETag that it was made from. */
  etag: string;
  onClose: () => void;
  onSaved: () => void;
  /** Called when somebody else was quicker, to start from what they made. */
  onReload: () => void;
}

/** What saving would change, what it would be refused for, and why it is done. */
export function Review({ policy, onClose, ...rest }: Review) {
  return (
    <Modal opened={policy !== null} onClose={onClose} title="Review before saving" size="xl" zIndex={300} keepMounted={false}>
      {policy !== null && <Body policy={policy} onClose={onClose} {...rest} />}
    </Modal>
  );
}

function Body({ policy, etag, onClose, onSaved, onReload }: Review & { policy: WaasPolicy }) {
  const [comment, setComment] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const check = useQuery({ queryKey: ["waas", "check", JSON.stringify(policy)], queryFn: () => got(api.POST("/api/v1/policies/firewall/app/app-embedded/check", { body: policy })), gcTime: 0 });
  const problems = check.data?.problems ?? [];
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      await api.PUT("/api/v1/policies/firewall/app/app-embedded", { body: policy, params: { header: { "If-Match": etag }, query: comment.trim() === "" ? {} : { comment: comment.trim() } } });
      onSaved();
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  };
  const stale = error instanceof ApiError && error.status === 412;
  const meanwhile = stale ? ((error.body as { changed?: { changes?: Shapes["RuleDifference"][] } }).changed?.changes ?? []) : [];
  return (
    <Stack gap="sm">
      <Problem error={check.error} />
      {check.isPending && <Skeleton height={120} />}
      {problems.length > 0 && <Problem title="The policy would be refused" error={new ApiError(400, "", problems)} />}
      {check.data && problems.length === 0 && !stale && <Changes changes={check.data.changes} />}
      <TextInput label="Why" description="For the history; may be empty" maxLength={500} value={comment} onChange={(event) => setComment(event.currentTarget.value)} data-autofocus />
      {!stale && <Problem title="The policy is unchanged" error={error} />}
      {stale && (
        <Stack gap="xs">
          <Problem title="Somebody else was quicker" error={error} />
          <Changes changes={meanwhile} />
          <Button variant="default" onClick={onReload}>Start again from the present policy</Button>
        </Stack>
      )}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>Back</Button>
        <Button loading={busy} disabled={!check.data || problems.length > 0 || check.data.changes.length === 0} onClick={() => void save()}>Save and put in force</Button>
      </Group>
    </Stack>
  );
}
