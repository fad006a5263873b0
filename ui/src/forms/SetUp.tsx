import { Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useState, type FormEvent } from "react";

import { Problem } from "~/components/Problem";
import { useSetUp } from "~/lib/session";

import { Door } from "./Door";

const SHORTEST_PASSWORD = 12;

/** The first start: whoever has the set-up token becomes the administrator. */
export function SetUp() {
  const [given, setGiven] = useState({ token: "", username: "admin", password: "", again: "" });
  const setUp = useSetUp();
  const change = (name: keyof typeof given) => (event: { currentTarget: { value: string } }) => setGiven({ ...given, [name]: event.currentTarget.value });
  const short = given.password !== "" && given.password.length < SHORTEST_PASSWORD;
  const differs = given.again !== "" && given.again !== given.password;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (short || given.again !== given.password) return;
    setUp.mutate({ token: given.token.trim(), username: given.username.trim(), password: given.password });
  };
  return (
    <Door
      title="Set up this Console"
      text={
        <>
          There is no default password. The Console printed a one-time token when it started, and keeps it in the file <code>setup-token</code> of its data directory.
        </>
      }
    >
      <form onSubmit={submit}>
        <Stack gap="sm">
          <PasswordInput label="Set-up token" required autoFocus autoComplete="off" value={given.token} onChange={change("token")} />
          <TextInput label="Name of the administrator" required autoComplete="username" value={given.username} onChange={change("username")} />
          <PasswordInput
            label="Password"
            description={`At least ${SHORTEST_PASSWORD} characters`}
            required
            autoComplete="new-password"
            value={given.password}
            onChange={change("password")}
            error={short ? `${SHORTEST_PASSWORD - given.password.length} more characters are needed` : undefined}
          />
          <PasswordInput label="Password again" required autoComplete="new-password" value={given.again} onChange={change("again")} error={differs ? "The two passwords differ" : undefined} />
          <Problem title="The Console is not set up" error={setUp.error} />
          <Button type="submit" fullWidth loading={setUp.isPending}>Become the administrator</Button>
        </Stack>
      </form>
    </Door>
  );
}
