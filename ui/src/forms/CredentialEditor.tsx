import { Button, Drawer, Group, Select, Stack, Text, TextInput, PasswordInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { Problem } from "~/components/Problem";
import { api, type Shapes } from "~/lib/api";

type Credential = Shapes["CredentialAnswer"];
type Kind = Shapes["CredentialChange"]["type"];

export const KINDS: Record<Kind, string> = {
  basic: "User and password",
  aws: "AWS access key",
  ecr: "AWS access key for ECR",
  apiToken: "API token",
  jfrog: "Artifactory token",
};
const isAws = (type: Kind) => type === "aws" || type === "ecr";
const isToken = (type: Kind) => type === "apiToken" || type === "jfrog";

/** Add a credential, or change one; its secret goes in and never comes back. */
export function CredentialEditor({ credential, opened, onClose }: { credential: Credential | null; opened: boolean; onClose: () => void }) {
  return (
    <Drawer opened={opened} onClose={onClose} title={credential ? `Change ${credential._id}` : "Add a credential"} keepMounted={false} closeButtonProps={{ "aria-label": "Close" }}>
      {opened && <Form credential={credential} onClose={onClose} />}
    </Drawer>
  );
}

function Form({ credential, onClose }: { credential: Credential | null; onClose: () => void }) {
  const client = useQueryClient();
  const [type, setType] = useState<Kind>((credential?.type as Kind | undefined) ?? "basic");
  const [values, setValues] = useState({
    id: credential?._id ?? "",
    accountID: credential?.accountID ?? "",
    secret: "",
    url: credential?.url ?? "",
    region: credential?.region ?? "",
    roleArn: credential?.roleArn ?? "",
    description: credential?.description ?? "",
  });
  const field = (name: keyof typeof values) => ({ value: values[name], onChange: (event: { currentTarget: { value: string } }) => { const { value } = event.currentTarget; setValues((before) => ({ ...before, [name]: value })); } });
  const save = useMutation({
    mutationFn: async () => {
      const plain = { plain: values.secret, encrypted: "" };
      const none = { plain: "", encrypted: "" };
      const body = {
        _id: values.id.trim(), type, accountID: isToken(type) ? "" : values.accountID, accountName: credential?.accountName ?? "", url: values.url.trim(), description: values.description,
        secret: isToken(type) ? none : plain, apiToken: isToken(type) ? plain : none, region: isAws(type) ? values.region : "", roleArn: isAws(type) ? values.roleArn : "",
      };
      if (credential) await api.PUT("/api/v1/credentials/{credential}", { params: { path: { credential: credential._id } }, body });
      else await api.POST("/api/v1/credentials", { body });
    },
    onSuccess: async () => {
      notifications.show({ message: credential ? "The credential is changed." : "The credential is kept, sealed." });
      await client.invalidateQueries({ queryKey: ["credentials"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  const secretLabel = isToken(type) ? "Token" : isAws(type) ? "Secret access key" : "Password";
  return (
    <form onSubmit={submit} autoComplete="off">
      <Stack gap="sm">
        <TextInput label="Name" required maxLength={200} disabled={credential !== null} {...field("id")} data-autofocus={credential === null || undefined} />
        <Select label="Kind" data={Object.entries(KINDS).map(([value, label]) => ({ value, label }))} value={type} onChange={(value) => setType((value as Kind | null) ?? type)} allowDeselect={false} />
        {!isToken(type) && <TextInput label={isAws(type) ? "Access key ID" : "User name"} required {...field("accountID")} />}
        <PasswordInput
          label={secretLabel}
          autoComplete="new-password"
          required={credential === null}
          description={credential ? "Empty keeps the present one. It has to be given again when the user, the registry or the role changes." : "It is sealed, goes to this registry alone, and is never shown again."}
          visibilityToggleButtonProps={{ "aria-label": `Show the ${secretLabel.toLowerCase()}` }}
          {...field("secret")}
        />
        <TextInput label="Registry" placeholder="registry.example.com" description={isAws(type) ? "An AWS key goes to Amazon alone; this may stay empty." : "The only registry that the secret is sent to. Empty: those whose settings name this credential."} {...field("url")} />
        {isAws(type) && <TextInput label="Region" placeholder="eu-central-1" {...field("region")} />}
        {isAws(type) && <TextInput label="Role to assume" placeholder="arn:aws:iam::123456789012:role/pull" {...field("roleArn")} />}
        <TextInput label="Description" {...field("description")} />
        <Problem error={save.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>Cancel</Button>
          <Button type="submit" loading={save.isPending}>{credential ? "Change" : "Add"}</Button>
        </Group>
        <Text size="xs" c="dimmed">Whoever may change a credential cannot have its secret sent elsewhere: a new place needs the secret anew.</Text>
      </Stack>
    </form>
  );
}
