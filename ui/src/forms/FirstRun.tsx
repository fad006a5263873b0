import { Anchor, Button, Group, Loader, Stack, Text, ThemeIcon, Title } from "@mantine/core";
import { IconCheck } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { Link } from "react-router";

import { Snippet } from "~/components/Snippet";
import type { Shapes } from "~/lib/api";
import { protectCommand } from "~/lib/commands";

/** Three steps to the first protected task, shown while no Defender ever connected. */
export function FirstRun({ console: state }: { console: Shapes["OverviewConsole"] }) {
  const host = window.location.hostname;
  const known = state.names.includes(host);
  const local = host === "localhost" || host.startsWith("127.") || host === "[::1]";
  return (
    <section className="card" aria-labelledby="first-run">
      <Title order={2} id="first-run">Protect your first task in three steps</Title>
      <Text c="dimmed" size="sm" mt={2} mb="md">No Defender has connected yet. This guide goes away when the first one does.</Text>
      <ol className="steps">
        <Step number={1} title="Name the Console" done={known && !local}>
          <Text component="div" size="sm" c="dimmed">
            Your tasks connect to the Console on a port of its own. Its certificate must have the name by which they reach it
            {local ? <>; <code>{host}</code>, by which you are here, is one of this machine alone</> : known ? <>; it has <code>{host}</code>, by which you are here</> : <>; <code>{host}</code>, by which you are here, is not in it</>}.{" "}
            <Anchor component={Link} to="/manage/names" size="sm" underline="always">See the names</Anchor>
          </Text>
        </Step>
        <Step number={2} title="Protect its definition">
          <Text size="sm" c="dimmed">Paste a task definition, a CloudFormation template or a Dockerfile, and get the protected one. Your application's code and image stay as they are.</Text>
          <Group><Button component={Link} to="/manage/deploy" size="xs">Open Manual deploy</Button></Group>
          <Text size="sm" c="dimmed">Or with the command line, which prints a report:</Text>
          <Snippet text={protectCommand({ origin: window.location.origin, host, file: "task.json" })} label="Copy the command" />
        </Step>
        <Step number={3} title="Run it as always">
          <Text size="sm" c="dimmed">Register the protected definition and start the task. Its Defender appears here within seconds, and stops nothing until you write a rule.</Text>
          <Group gap="xs"><Loader size={14} aria-hidden /><Text size="sm" c="dimmed" role="status">Waiting for the first Defender…</Text></Group>
        </Step>
      </ol>
    </section>
  );
}

function Step({ number, title, done = false, children }: { number: number; title: string; done?: boolean; children: ReactNode }) {
  return (
    <li>
      <ThemeIcon radius="xl" size={28} variant={done ? "filled" : "light"} aria-hidden>{done ? <IconCheck size={16} /> : number}</ThemeIcon>
      <Stack gap={8} style={{ minWidth: 0, flex: 1 }} maw={760}>
        <Title order={3}>{title}{done && <span className="visually-hidden"> (done)</span>}</Title>
        {children}
      </Stack>
    </li>
  );
}
