import { Button, Group, Modal, Select, Stack, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { Problem } from "~/components/Problem";
import { api, type Shapes } from "~/lib/api";

type Registry = Shapes["RegistrySpecification"];

export const VERSIONS: Record<string, string> = {
  "2": "Docker registry", aws: "Amazon ECR", jfrog: "JFrog Artifactory", dockerhub: "Docker Hub", azure: "Azure", gcr: "Google", gitlab: "GitLab", harbor: "Harbor", redhat: "Red Hat", sonatype: "Sonatype Nexus", bluemix: "IBM", dtr: "Docker Trusted Registry",
};
const EMPTY: Registry = {
  version: "2", registry: "", namespace: "", repository: "", tag: "", os: "linux", credentialID: "", caCert: "", excludedRepositories: [], excludedTags: [], cap: 0, scanners: 0, collections: [], jfrogRepoTypes: [],
};

/** Change one registry of the list, or (index null) add one behind the others. */
export function RegistryEditor({ registries, index, opened, onClose, credentials }: { registries: readonly Registry[]; index: number | null; opened: boolean; onClose: () => void; credentials: readonly string[] }) {
  return (
    <Modal opened={opened} onClose={onClose} title={index === null ? "Add a registry" : "Change this registry"} keepMounted={false} size="lg">
      {opened && <Form registries={registries} index={index} onClose={onClose} credentials={credentials} />}
    </Modal>
  );
}

function Form({ registries, index, onClose, credentials }: { registries: readonly Registry[]; index: number | null; onClose: () => void; credentials: readonly string[] }) {
  const client = useQueryClient();
  const [value, setValue] = useState<Registry>((index === null ? undefined : registries[index]) ?? EMPTY);
  const set = (changes: Partial<Registry>) => setValue((before) => ({ ...before, ...changes }));
  const save = useMutation({
    mutationFn: () => {
      const specifications = index === null ? [...registries, value] : registries.map((item, place) => (place === index ? value : item));
      return api.PUT("/api/v1/settings/registry", { body: { specifications } });
    },
    onSuccess: async () => {
      notifications.show({ message: "The registries are in use." });
      await client.invalidateQueries({ queryKey: ["registries"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Group grow align="flex-start">
          <Select label="Kind" data={Object.entries(VERSIONS).map(([version, label]) => ({ value: version, label }))} value={value.version} onChange={(version) => set({ version: version ?? "2" })} allowDeselect={false} />
          <TextInput label="Address" placeholder="registry.example.com" description="Empty: Docker Hub" inputWrapperOrder={["label", "input", "description", "error"]} value={value.registry} onChange={(event) => set({ registry: event.currentTarget.value })} />
        </Group>
        <Group grow align="flex-start">
          <TextInput label="Repository" placeholder="team/*" value={value.repository} onChange={(event) => set({ repository: event.currentTarget.value })} />
          <TextInput label="Tag" placeholder="*" value={value.tag} onChange={(event) => set({ tag: event.currentTarget.value })} />
        </Group>
        <Select label="Credential" data={[{ value: "", label: "none: ask without" }, ...credentials.map((name) => ({ value: name, label: name }))]} value={value.credentialID} onChange={(name) => set({ credentialID: name ?? "" })} allowDeselect={false} />
        <Textarea label="Authority’s certificate (PEM)" description="Only where the registry’s certificate is of a private authority." autosize minRows={2} maxRows={8} value={value.caCert} onChange={(event) => set({ caCert: event.currentTarget.value })} />
        <Problem error={save.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>Cancel</Button>
          <Button type="submit" loading={save.isPending}>{index === null ? "Add" : "Change"}</Button>
        </Group>
      </Stack>
    </form>
  );
}
