import { Button, Group, Select, Stack, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { Facts } from "~/components/Facts";
import { Problem } from "~/components/Problem";
import { api, type Shapes } from "~/lib/api";
import { Tag } from "~/ui/Tag";

/** Ask an image's registry now, and show what it says. */
export function RegistryTest({ credentials }: { credentials: readonly string[] }) {
  const client = useQueryClient();
  const [image, setImage] = useState("");
  const [architecture, setArchitecture] = useState<"amd64" | "arm64">("amd64");
  const [credential, setCredential] = useState("");
  const test = useMutation({
    mutationFn: async () => (await api.POST("/api/v1/settings/registry/test", { body: { image: image.trim(), architecture, registryType: "", registryCredentialID: credential } })).data,
    onSuccess: () => client.invalidateQueries({ queryKey: ["images"] }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    test.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm" className="card">
        <Group gap="xs" align="flex-end">
          <TextInput label="Image to ask for" placeholder="registry.example.com/shop:1.4" w={360} maw="100%" required value={image} onChange={(event) => setImage(event.currentTarget.value)} />
          <Select label="Processor" w={120} data={["amd64", "arm64"]} value={architecture} onChange={(value) => setArchitecture(value === "arm64" ? "arm64" : "amd64")} allowDeselect={false} />
          <Select label="With" w={220} data={[{ value: "", label: "what the settings say" }, ...credentials.map((name) => ({ value: name, label: name }))]} value={credential} onChange={(value) => setCredential(value ?? "")} allowDeselect={false} />
          <Button type="submit" loading={test.isPending} disabled={image.trim() === ""}>Test</Button>
        </Group>
        <Problem title="The registry was not read" error={test.error} />
        {test.data && <Answer found={test.data} />}
      </Stack>
    </form>
  );
}

function Answer({ found }: { found: Shapes["KnownImage"] }) {
  const words = (list: readonly string[] | undefined) => (list && list.length > 0 ? <code>{JSON.stringify(list)}</code> : "none");
  return (
    <Stack gap="xs" role="status">
      <div><Tag tone="good">The registry answered</Tag></div>
      <Facts
        items={[
          ["Image", found.reference],
          ["Digest", <code key="digest">{found.repoTag.digest}</code>],
          ["Entrypoint", words(found.image.entrypoint)],
          ["Command", words(found.image.cmd)],
          ["User", found.image.user || "root"],
          ["Learnt from", found.origin],
        ]}
      />
    </Stack>
  );
}
