import { Button, Group, Modal, NumberInput, SegmentedControl, Stack, Switch, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Confirm } from "~/components/Confirm";
import { Problem } from "~/components/Problem";
import { api, type Shapes } from "~/lib/api";
import { useCan } from "~/lib/session";

type Learned = Shapes["LearnedRuleAnswer"];

/** What can be done with a profile: make its rule, take that on, or forget what was seen. */
export function ProfileActions({ number, learned, onForgotten }: { number: string; learned: Learned | undefined; onForgotten: () => void }) {
  const writes = useCan("policyWrite");
  const forgets = useCan("profilesWrite");
  const client = useQueryClient();
  const [asked, setAsked] = useState<"adopt" | "promote" | "forget" | null>(null);
  const changed = () => Promise.all([client.invalidateQueries({ queryKey: ["profiles"] }), client.invalidateQueries({ queryKey: ["learned"] })]);
  const close = () => setAsked(null);
  return (
    <Group gap="xs">
      {writes && !learned && <Button onClick={() => setAsked("adopt")}>Make it a rule</Button>}
      {writes && learned && learned.stage !== "prevent" && <Button onClick={() => setAsked("promote")}>{learned.stage === "discover" ? "Promote to alert" : "Promote to prevent"}</Button>}
      {forgets && <Button variant="default" onClick={() => setAsked("forget")}>Forget</Button>}
      <Modal opened={asked === "adopt"} onClose={close} title="Make this profile a rule" keepMounted={false}>
        <Adopt number={number} onClose={close} onDone={changed} />
      </Modal>
      <Confirm
        opened={asked === "promote"}
        onClose={close}
        title={`Promote “${learned?.rule ?? ""}”?`}
        action="Promote"
        onConfirm={async () => {
          await api.POST("/api/v1/policies/runtime/app-embedded/learned/promote", { body: { rule: learned?.rule ?? "" } });
          notifications.show({ message: "The rule went on to its next stage, and is in force." });
          await changed();
        }}
      >
        {learned?.stage === "discover"
          ? "What was seen becomes the rule’s lists, and everything else is reported. Nothing is stopped yet."
          : "What is not in the rule’s lists is stopped from now on. Read the evidence first: a profile cannot know what the workload does once a month."}
      </Confirm>
      <Confirm
        opened={asked === "forget"}
        onClose={close}
        title="Forget what was seen?"
        action="Forget"
        danger
        onConfirm={async () => {
          await api.DELETE("/api/v1/profiles/app-embedded/{number}", { params: { path: { number } } });
          notifications.show({ message: "The profile is forgotten; learning begins anew." });
          onForgotten();
          await changed();
        }}
      >
        Everything in this profile goes, and learning begins anew with what the Defenders see next. A rule that was made of it stays as it is.
      </Confirm>
    </Group>
  );
}

function Adopt({ number, onClose, onDone }: { number: string; onClose: () => void; onDone: () => Promise<unknown> }) {
  const [stage, setStage] = useState<"discover" | "alert">("alert");
  const [byItself, setByItself] = useState(false);
  const [days, setDays] = useState<number | string>(14);
  const adopt = useMutation({
    mutationFn: () => api.POST("/api/v1/profiles/app-embedded/{number}/rule", { params: { path: { number } }, body: { stage, quietDays: byItself ? Number(days) : null } }),
    onSuccess: async () => {
      notifications.show({ message: "The rule stands before all others, and is in force." });
      onClose();
      await onDone();
    },
  });
  return (
    <Stack gap="sm">
      <SegmentedControl aria-label="Stage" value={stage} onChange={(value) => setStage(value as "discover" | "alert")} data={[{ value: "discover", label: "Discover" }, { value: "alert", label: "Alert" }]} />
      <Text size="sm">
        {stage === "alert" ? "What was seen is allowed, and everything else is reported. Nothing is stopped." : "Watch on: programs, names and files are looked at without any objection, until the rule is promoted."}
      </Text>
      <Switch label="Let it go on by itself after quiet days" checked={byItself} onChange={(event) => setByItself(event.currentTarget.checked)} />
      {byItself && <NumberInput label="Quiet days" description="Days in which the workload ran and nothing new was seen or reported." min={1} max={365} allowDecimal={false} value={days} onChange={setDays} />}
      <Problem error={adopt.error} />
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>Cancel</Button>
        <Button loading={adopt.isPending} onClick={() => adopt.mutate()}>Put it into the policy</Button>
      </Group>
    </Stack>
  );
}
