import { Alert, Button, Group, Modal, Stack, Tabs, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Problem } from "~/components/Problem";
import { RuleChanges } from "~/components/RuleChanges";
import { ApiError, type Shapes } from "~/lib/api";
import { checkRules, merged, POLICY_KEY, readPolicy, savePolicy, type InForce, type Rule } from "~/lib/runtime-policy";

import { Trial } from "./RuleEditor";

interface Review {
  base: InForce;
  rules: readonly Rule[];
  onClose: () => void;
  onSaved: () => void;
  /** Go on from a newer policy with these rules. */
  onMerged: (base: InForce, rules: Rule[]) => void;
}

/** What saving would change, a trial of it, and the comment for the history. */
export function ReviewDraft(props: Review) {
  return (
    <Modal opened onClose={props.onClose} size="min(860px, 100%)" title="Review and save" closeButtonProps={{ "aria-label": "Close" }}>
      <Body {...props} />
    </Modal>
  );
}

function Body({ base, rules, onClose, onSaved, onMerged }: Review) {
  const client = useQueryClient();
  const [comment, setComment] = useState("");
  const check = useQuery({ queryKey: ["runtime-check", rules, base.etag], queryFn: ({ signal }) => checkRules(rules, signal) });
  const save = useMutation({
    mutationFn: () => savePolicy(rules, base.etag, comment.trim()),
    onSuccess: async () => {
      notifications.show({ message: "The policy is in force." });
      await client.invalidateQueries({ queryKey: POLICY_KEY });
      onSaved();
    },
  });
  const late = save.error instanceof ApiError && save.error.status === 412 ? (save.error.body as { changed: Shapes["Changed"] }).changed : null;
  const problems = check.data?.problems ?? [];
  return (
    <Stack gap="md">
      {late ? (
        <Late base={base} mine={rules} changed={late} onMerged={(newer, merge) => { save.reset(); onMerged(newer, merge); }} />
      ) : (
        <Tabs defaultValue="changes" keepMounted={false}>
          <Tabs.List>
            <Tabs.Tab value="changes">What changes</Tabs.Tab>
            <Tabs.Tab value="trial">Try it</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="changes" pt="md">
            <Stack gap="sm">
              <Problem error={check.error} retry={() => void check.refetch()} />
              {problems.length > 0 && <Problem title="The Console would refuse this" error={new ApiError(400, "", problems)} />}
              {check.data && <RuleChanges changes={check.data.changes} />}
            </Stack>
          </Tabs.Panel>
          <Tabs.Panel value="trial" pt="md"><Trial rules={rules} /></Tabs.Panel>
        </Tabs>
      )}
      {!late && <Problem title="Nothing was saved" error={save.error} />}
      {!late && <TextInput label="Comment" description="Why, for the history." placeholder="Stop curl in the shop" maxLength={500} value={comment} onChange={(event) => setComment(event.currentTarget.value)} />}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>Back to the draft</Button>
        {!late && <Button onClick={() => save.mutate()} loading={save.isPending} disabled={!check.data || problems.length > 0}>Save</Button>}
      </Group>
    </Stack>
  );
}

/** Somebody else was quicker: what they changed, and how to go on from there. */
function Late({ base, mine, changed, onMerged }: { base: InForce; mine: readonly Rule[]; changed: Shapes["Changed"]; onMerged: (base: InForce, rules: Rule[]) => void }) {
  const merge = useMutation({
    mutationFn: async () => {
      const theirs = await readPolicy();
      return { theirs, ...merged(base.rules, mine, theirs.rules) };
    },
    onSuccess: ({ theirs, rules, both }) => {
      notifications.show({
        message: both.length === 0 ? "Your changes are on top of theirs now. Look at them, then save." : `Both of you changed ${both.join(", ")}: yours is in the draft. Look at it, then save.`,
        autoClose: 8000,
      });
      onMerged(theirs, rules);
    },
  });
  return (
    <Stack gap="sm">
      <Alert variant="default" role="alert" title={`${changed.author} was quicker`}>
        The policy was changed after you began: nothing of yours is lost, and nothing of theirs was overwritten.{changed.comment !== "" && ` They said: “${changed.comment}”`}
      </Alert>
      <Text size="sm" fw={600}>What they changed</Text>
      <RuleChanges changes={changed.changes} />
      <Problem error={merge.error} />
      <Group><Button onClick={() => merge.mutate()} loading={merge.isPending}>Put my changes on top of theirs</Button></Group>
    </Stack>
  );
}
