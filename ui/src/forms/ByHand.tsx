import { Anchor, Button, Group, Stack, Text, Title } from "@mantine/core";
import { IconEye, IconEyeOff } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { Problem } from "~/components/Problem";
import { Snippet } from "~/components/Snippet";
import { api, got } from "~/lib/api";

/** Put the Defender into a workload without any format that is known: its file, four variables, and its command. */
export function ByHand({ consoleaddr }: { consoleaddr: string }) {
  const [shown, setShown] = useState(false);
  const bundle = useQuery({
    queryKey: ["install-bundle", consoleaddr],
    queryFn: () => got(api.GET("/api/v1/defenders/install-bundle", { params: { query: { consoleaddr } } })),
    retry: false,
    gcTime: 0,
  });
  const architectures = bundle.data?.defenderArchitectures ?? [];
  const secret = shown ? (bundle.data?.installBundle ?? "") : "••••••••";
  return (
    <Stack gap="md" maw={900}>
      <Problem title="The install bundle cannot be shown" error={bundle.error} />
      <section className="card">
        <Title order={2} size="h3" mb={4}>1. Put the Defender's file into the image</Title>
        <Text size="sm" c="dimmed" mb="sm">One static file; it needs no libraries, no shell and no rights.</Text>
        <Group gap="xs">
          {architectures.map((architecture) => (
            <Button key={architecture} component="a" variant="default" size="xs" href={`/api/v1/images/defender_app_embedded.tar.gz?architecture=${architecture}`} download>
              Download for {architecture}
            </Button>
          ))}
          {bundle.data && architectures.length === 0 && <Text size="sm">This Console was started without a Defender's file: see its option <code>--defender-amd64</code>.</Text>}
        </Group>
      </section>
      <section className="card">
        <Title order={2} size="h3" mb={4}>2. Tell it who it is</Title>
        <Group justify="space-between" mb="sm">
          <Text size="sm" c="dimmed" style={{ flex: 1 }}>Whoever has the install bundle can enrol Defenders: keep it as a secret.</Text>
          <Button size="xs" variant="default" leftSection={shown ? <IconEyeOff size={14} /> : <IconEye size={14} />} aria-pressed={shown} disabled={!bundle.data} onClick={() => setShown(!shown)}>
            {shown ? "Hide the bundle" : "Show the bundle"}
          </Button>
        </Group>
        <Snippet label="Copy the variables" text={`DEFENDER_TYPE=appEmbedded\nDEFENDER_APP_ID=my-app\nWS_ADDRESS=${bundle.data?.wsAddress ?? ""}\nDATA_FOLDER=/tmp\nINSTALL_BUNDLE=${secret}`} />
      </section>
      <section className="card">
        <Title order={2} size="h3" mb={4}>3. Start the application through it</Title>
        <Text size="sm" c="dimmed" mb="sm">The Defender starts the program, with its arguments, and stays beside it.</Text>
        <Snippet label="Copy the command" text="/path/to/defender app-embedded PROGRAM ARGUMENT…" />
      </section>
      <Text size="sm" c="dimmed">Cloud Foundry: <code>bartizan app-embedded embed-manifest</code> writes the manifest with all of this. <Anchor href="/manage/api" size="sm" underline="always">API reference</Anchor></Text>
    </Stack>
  );
}
