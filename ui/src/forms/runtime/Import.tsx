import { Button, FileButton, Group, Modal, Radio, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { CodeEditor } from "~/components/CodeEditor";
import { Problem } from "~/components/Problem";
import { freeName, readRules, type Rule } from "~/lib/runtime-policy";

const LARGEST = 1 << 20;

/** Rules from a file or the clipboard into the draft. */
export function ImportRules({ rules, onClose, onImport }: { rules: readonly Rule[]; onClose: () => void; onImport: (rules: Rule[]) => void }) {
  return (
    <Modal opened onClose={onClose} size="lg" title="Import rules" closeButtonProps={{ "aria-label": "Close" }}>
      <Body rules={rules} onClose={onClose} onImport={onImport} />
    </Modal>
  );
}

function Body({ rules, onClose, onImport }: { rules: readonly Rule[]; onClose: () => void; onImport: (rules: Rule[]) => void }) {
  const [text, setText] = useState("");
  const [how, setHow] = useState("replace");
  const read = useMutation({
    mutationFn: async () => {
      const found = await readRules(text);
      return how === "replace" ? found : found.reduceRight<Rule[]>((all, rule) => [{ ...rule, name: freeName(rule.name, all) }, ...all], [...rules]);
    },
    onSuccess: onImport,
  });
  const take = useMutation({
    mutationFn: async (file: File) => {
      if (file.size > LARGEST) throw new Error("a policy has at most 1 MiB");
      return file.text();
    },
    onSuccess: setText,
  });
  return (
    <Stack gap="sm">
      <Text size="sm" c="dimmed">A whole policy as JSON or YAML, as this Console, its API or the vendor's exports it. It goes into the draft: nothing is in force before you save.</Text>
      <Group>
        <FileButton onChange={(file) => file && take.mutate(file)} accept=".json,.yaml,.yml,application/json,application/yaml">
          {(props) => <Button {...props} variant="default">Choose a file</Button>}
        </FileButton>
      </Group>
      <CodeEditor label="Rules as JSON or YAML" language="yaml" value={text} onChange={setText} placeholder={"rules:\n- name: shop\n  processes:\n    effect: prevent\n    blacklist: [curl]"} minHeight={200} maxHeight="45vh" />
      <Radio.Group label="What to do with them" value={how} onChange={setHow}>
        <Group mt={4}>
          <Radio value="replace" label="Replace all rules" />
          <Radio value="add" label="Put them before the others" />
        </Group>
      </Radio.Group>
      <Problem title="This is not taken" error={read.error ?? take.error} />
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>Cancel</Button>
        <Button disabled={text.trim() === ""} loading={read.isPending} onClick={() => read.mutate()}>Import</Button>
      </Group>
    </Stack>
  );
}
