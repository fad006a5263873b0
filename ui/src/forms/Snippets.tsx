import { SimpleGrid, Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";

import { Snippet } from "~/components/Snippet";
import { cliOf, curlOf, type Choices, type Format } from "~/lib/protect";

/** The same choices as commands, for a pipeline. */
export function Snippets({ format, choices }: { format: Format; choices: Choices }) {
  const origin = window.location.origin;
  return (
    <Stack gap="md">
      <Text size="sm" c="dimmed" maw={760}>
        These do what the tab Protect does with the choices made there. Both ask for the password; a pipeline uses an API token of the role CI User instead. Neither holds a secret.
      </Text>
      <SimpleGrid cols={{ base: 1, xl: 2 }} spacing="md">
        <Part title="Trust the Console">
          <Snippet label="Copy the command" text={`curl -s --insecure -o ca.pem '${origin}/api/v1/certs/ca.pem'\nopenssl x509 -in ca.pem -noout -fingerprint -sha256   # compare with what the Console printed`} />
        </Part>
        <Part title="Command line"><Snippet label="Copy the command" text={cliOf(format, origin, choices)} /></Part>
        <Part title="API"><Snippet label="Copy the command" text={curlOf(format, origin, choices)} /></Part>
        <Part title="Fail a pipeline on what is unprotected or stale">
          <Snippet label="Copy the command" text="bartizan app-embedded verify protected.json" />
        </Part>
      </SimpleGrid>
    </Stack>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="card">
      <Title order={2} size="h3" mb="xs">{title}</Title>
      {children}
    </section>
  );
}
