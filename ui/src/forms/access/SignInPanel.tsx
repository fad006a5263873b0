import { Button, Group, PasswordInput, SimpleGrid, Skeleton, Stack, Switch, TagsInput, Text, TextInput, Textarea } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { Problem } from "~/components/Problem";
import { api, got, type Shapes } from "~/lib/api";
import { useCan } from "~/lib/session";

type Settings = Shapes["OidcAnswer"];

const KEY = ["access", "oidc"];
const CALLBACK = "/api/v1/session/oidc/callback";

/** How people sign in by an identity provider. */
export function SignInPanel() {
  const settings = useQuery({ queryKey: KEY, queryFn: () => got(api.GET("/api/v1/settings/oidc")) });
  return (
    <Stack gap="sm" maw={820}>
      <Problem error={settings.error} retry={() => void settings.refetch()} />
      {settings.isPending && <Skeleton height={320} />}
      {settings.data && <Fields key={settings.dataUpdatedAt} present={settings.data} />}
    </Stack>
  );
}

function Fields({ present }: { present: Settings }) {
  const client = useQueryClient();
  const fixed = !useCan("accessWrite");
  const [draft, setDraft] = useState({ ...present, redirectURI: present.redirectURI || `${window.location.origin}${CALLBACK}` });
  const [secret, setSecret] = useState("");
  const change = (part: Partial<Settings>) => setDraft({ ...draft, ...part });
  const save = useMutation({
    mutationFn: () => {
      const { enabled, issuer, clientID, redirectURI, scopes, usernameClaim, groupsClaim, caCert } = draft;
      return api.PUT("/api/v1/settings/oidc", {
        body: { enabled, issuer, clientID, clientSecret: secret, redirectURI, scopes, usernameClaim, groupsClaim, caCert },
      });
    },
    onSuccess: () => {
      notifications.show({ message: draft.enabled ? "Saved. The identity provider answered as it should." : "Saved." });
      return client.invalidateQueries({ queryKey: KEY });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Text size="sm" c="dimmed">
          People sign in by an OpenID Connect provider (code flow with PKCE), and get the role of the first group here whose name at the provider is among theirs. Who is in none stays outside.
        </Text>
        <Switch label="Let people sign in by the identity provider" disabled={fixed} checked={draft.enabled} onChange={(event) => change({ enabled: event.currentTarget.checked })} />
        <TextInput label="Issuer" placeholder="https://login.example.com" readOnly={fixed} required={draft.enabled} value={draft.issuer} onChange={(event) => change({ issuer: event.currentTarget.value })} />
        <SimpleGrid cols={{ base: 1, sm: 2 }}>
          <TextInput label="Client ID" readOnly={fixed} required={draft.enabled} value={draft.clientID} onChange={(event) => change({ clientID: event.currentTarget.value })} />
          <PasswordInput label="Client secret" autoComplete="new-password" readOnly={fixed} placeholder={present.hasSecret ? "kept; type to replace it" : "none"} value={secret} onChange={(event) => setSecret(event.currentTarget.value)} />
        </SimpleGrid>
        <TextInput label="Redirect address" description="Register exactly this at the provider." readOnly={fixed} required={draft.enabled} value={draft.redirectURI} onChange={(event) => change({ redirectURI: event.currentTarget.value })} />
        <SimpleGrid cols={{ base: 1, sm: 2 }}>
          <TextInput label="Claim with the name" readOnly={fixed} value={draft.usernameClaim} onChange={(event) => change({ usernameClaim: event.currentTarget.value })} />
          <TextInput label="Claim with the groups" readOnly={fixed} value={draft.groupsClaim} onChange={(event) => change({ groupsClaim: event.currentTarget.value })} />
        </SimpleGrid>
        <TagsInput label="Scopes" readOnly={fixed} value={draft.scopes} onChange={(scopes) => change({ scopes })} />
        <Textarea label="Certificate authority" description="In PEM, if the provider's is not a public one." readOnly={fixed} autosize minRows={2} maxRows={8} value={draft.caCert} onChange={(event) => change({ caCert: event.currentTarget.value })} />
        <Problem title="The settings are unchanged" error={save.error} />
        {!fixed && <Group justify="flex-end"><Button type="submit" loading={save.isPending}>Save</Button></Group>}
      </Stack>
    </form>
  );
}
