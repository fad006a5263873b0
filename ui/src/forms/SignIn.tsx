import { Alert, Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { Problem } from "~/components/Problem";
import { api, got } from "~/lib/api";
import { useSignIn } from "~/lib/session";

import { Door } from "./Door";

/** Sign in with name and password; the address stays, so one lands where one wanted to go. */
export function SignIn({ ended }: { ended: boolean }) {
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const signIn = useSignIn();
  const offer = useQuery({ queryKey: ["offer"], queryFn: () => got(api.GET("/api/v1/session/oidc")), staleTime: Infinity });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    signIn.mutate({ username: username.trim(), password });
  };
  return (
    <Door title="Sign in to Bartizan" text="The Console of your App-Embedded Defenders">
      <form onSubmit={submit}>
        <Stack gap="sm">
          {ended && !signIn.error && <Alert variant="default" role="status">Your session ended. Sign in to go on where you were.</Alert>}
          <TextInput label="User name" autoComplete="username" required autoFocus value={username} onChange={(event) => setUsername(event.currentTarget.value)} />
          <PasswordInput label="Password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.currentTarget.value)} />
          <Problem title="You are not signed in" error={signIn.error} />
          <Button type="submit" fullWidth loading={signIn.isPending}>Sign in</Button>
          {offer.data?.enabled && <Button component="a" href="/api/v1/session/oidc/start" variant="default" fullWidth>Sign in by the identity provider</Button>}
        </Stack>
      </form>
    </Door>
  );
}
