import { Button, FileButton, Group, SegmentedControl, SimpleGrid, Stack, Tabs, Text, Title } from "@mantine/core";
import { IconDownload, IconShieldCheck, IconUpload } from "@tabler/icons-react";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { CodeEditor } from "~/components/CodeEditor";
import { DiffView } from "~/components/DiffView";
import { Empty } from "~/components/Empty";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { ByHand } from "~/forms/ByHand";
import { ProtectChoices } from "~/forms/ProtectChoices";
import { Snippets } from "~/forms/Snippets";
import { api, got } from "~/lib/api";
import { save } from "~/lib/files";
import { DEFAULTS, placeOf, protectDockerfile, protectTask, syntaxOf, type Choices, type Format, type Protected } from "~/lib/protect";
import { EXAMPLE_DOCKERFILE, EXAMPLE_TASK } from "~/lib/examples";
import { useCan } from "~/lib/session";

const LARGEST = 4 << 20;

/** Protect a definition: it goes in left, the protected one comes out right. */
export default function Deploy() {
  const [format, setFormat] = useState<Format>("task");
  const [texts, setTexts] = useState<Record<Format, string>>({ task: "", dockerfile: "" });
  const [choices, setChoices] = useState<Choices>(DEFAULTS);
  const maySee = useCan("settingsRead");
  const names = useQuery({ queryKey: ["settings", "certs"], queryFn: () => got(api.GET("/api/v1/settings/certs")), enabled: maySee });
  const known = names.data?.consoleSAN ?? [];
  const present = { ...choices, consoleaddr: choices.consoleaddr || (known.includes(window.location.hostname) ? window.location.hostname : known[0]) || window.location.hostname };
  const text = texts[format];
  const put = (value: string) => setTexts((before) => ({ ...before, [format]: value }));
  return (
    <Page title="Manual deploy" description="Put a Defender into a workload. The definition goes in left, the protected one comes out right; your application's code stays as it is.">
      <Tabs defaultValue="protect" keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="protect">Protect</Tabs.Tab>
          <Tabs.Tab value="snippets">Command line and API</Tabs.Tab>
          <Tabs.Tab value="hand">By hand</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="protect">
          <Stack gap="md">
            <Group justify="space-between" align="flex-end">
              <SegmentedControl aria-label="What is protected" value={format} onChange={(value) => setFormat(value as Format)} data={[{ value: "task", label: "Fargate task or template" }, { value: "dockerfile", label: "Dockerfile" }]} />
            </Group>
            <ProtectChoices format={format} choices={present} names={known} onChange={setChoices} />
            {format === "task" ? <Task key="task" text={text} onText={put} choices={present} /> : <Dockerfile key="dockerfile" text={text} onText={put} choices={present} />}
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="snippets"><Snippets format={format} choices={present} /></Tabs.Panel>
        <Tabs.Panel value="hand"><ByHand consoleaddr={present.consoleaddr} /></Tabs.Panel>
      </Tabs>
    </Page>
  );
}

interface Editing {
  text: string;
  onText: (text: string) => void;
  choices: Choices;
}

function Task({ text, onText, choices }: Editing) {
  const protect = useMutation({ mutationFn: async () => ({ ...(await protectTask(text, choices)), from: text }) });
  const place = protect.error ? placeOf(protect.error.message) : null;
  const marks = useMemo(() => (place && protect.error ? [{ ...place, message: protect.error.message }] : []), [place, protect.error]);
  const done = protect.data;
  return (
    <>
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md">
        <section style={{ minWidth: 0 }} aria-label="Definition">
          <Head title="Definition" note={text === "" ? "JSON or YAML" : syntaxOf(text).toUpperCase()}>
            <Pick onText={onText} accept=".json,.yaml,.yml,.template" />
            <Button variant="default" size="xs" onClick={() => onText(EXAMPLE_TASK)}>Use an example</Button>
          </Head>
          <CodeEditor label="Definition" value={text} onChange={onText} language={syntaxOf(text)} placeholder="Paste an ECS task definition or a CloudFormation template" minHeight={380} maxHeight={520} marks={marks} />
        </section>
        <section style={{ minWidth: 0 }} aria-label="Protected definition">
          <Head title="Protected definition" note={done ? (done.from === text ? "up to date" : "of an earlier text") : ""}>
            {done && <Button variant="default" size="xs" leftSection={<IconDownload size={14} />} onClick={() => save(done.text, `protected.${done.syntax}`, "text/plain")}>Download</Button>}
          </Head>
          {done ? (
            <CodeEditor label="Protected definition" value={done.text} language={done.syntax} readOnly minHeight={380} maxHeight={520} />
          ) : (
            <Empty order={3} title="Nothing is protected yet" icon={<IconShieldCheck size={24} />}>Paste a definition left, and choose Protect. Every byte that is not the Defender's stays as it was, comments and order too.</Empty>
          )}
        </section>
      </SimpleGrid>
      <Group>
        <Button leftSection={<IconShieldCheck size={16} />} loading={protect.isPending} disabled={text.trim() === ""} onClick={() => protect.mutate()}>Protect</Button>
        {choices.extractEntrypoint && protect.isPending && <Text size="sm" c="dimmed" role="status">Asking the registries…</Text>}
      </Group>
      <Problem title="The definition is not protected" error={protect.error} />
      {done && <Report done={done} before={done.from} />}
    </>
  );
}

function Report({ done, before }: { done: Protected; before: string }) {
  return (
    <>
      <section className="card" aria-labelledby="report">
        <Title order={2} size="h3" id="report" mb="xs">Report</Title>
        {done.warnings.length === 0 ? (
          <Text size="sm" c="dimmed">Every container starts through the Defender, and nothing needs your attention.</Text>
        ) : (
          <ul className="report">{done.warnings.map((warning) => <li key={warning} className="break">{warning}</li>)}</ul>
        )}
      </section>
      <section aria-labelledby="changes">
        <Title order={2} size="h3" id="changes" mb="xs">What changed</Title>
        <DiffView label="What changed" before={before} after={done.text} language={done.syntax} />
      </section>
    </>
  );
}

function Dockerfile({ text, onText, choices }: Editing) {
  const protect = useMutation({
    mutationFn: () => protectDockerfile(text, choices),
    onSuccess: ({ archive, name }) => save(archive, name, "application/zip"),
  });
  const place = protect.error ? placeOf(protect.error.message) : null;
  const marks = useMemo(() => (place && protect.error ? [{ ...place, message: protect.error.message }] : []), [place, protect.error]);
  return (
    <>
      <section style={{ minWidth: 0 }} aria-label="Dockerfile">
        <Head title="Dockerfile">
          <Pick onText={onText} accept="" />
          <Button variant="default" size="xs" onClick={() => onText(EXAMPLE_DOCKERFILE)}>Use an example</Button>
        </Head>
        <CodeEditor label="Dockerfile" value={text} onChange={onText} placeholder="Paste a Dockerfile, or choose the file" minHeight={260} maxHeight={520} marks={marks} />
      </section>
      <Group>
        <Button leftSection={<IconDownload size={16} />} loading={protect.isPending} disabled={text.trim() === "" || choices.appID.trim() === ""} onClick={() => protect.mutate()}>Protect and download</Button>
        {choices.appID.trim() === "" && <Text size="sm" c="dimmed">Give the App ID first: it names the workload in rules and events.</Text>}
      </Group>
      <Problem title="The Dockerfile is not protected" error={protect.error} />
      {protect.data && (
        <section className="card" role="status">
          <Title order={2} size="h3" mb="xs">{protect.data.name} was saved</Title>
          <Text size="sm" c="dimmed">It holds the protected Dockerfile, the Defender and a README. Unpack it beside your build context and build as always; the image starts your application through the Defender.</Text>
        </section>
      )}
    </>
  );
}

function Head({ title, note, children }: { title: string; note?: string; children?: React.ReactNode }) {
  return (
    <Group justify="space-between" mb={6} mih={30}>
      <Title order={2} size="h3">{title} {note && <Text span c="dimmed" size="sm" fw={400}>{note}</Text>}</Title>
      <Group gap="xs">{children}</Group>
    </Group>
  );
}

function Pick({ onText, accept }: { onText: (text: string) => void; accept: string }) {
  const [error, setError] = useState("");
  const read = async (file: File | null) => {
    if (!file) return;
    if (file.size > LARGEST) setError(`${file.name} is larger than 4 MiB`);
    else {
      setError("");
      onText(await file.text());
    }
  };
  return (
    <>
      {error !== "" && <Text size="xs" c="var(--mantine-color-error)" role="alert">{error}</Text>}
      <FileButton onChange={(file) => void read(file)} accept={accept}>
        {(props) => <Button {...props} variant="default" size="xs" leftSection={<IconUpload size={14} />}>Choose a file</Button>}
      </FileButton>
    </>
  );
}
