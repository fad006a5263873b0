import { Accordion, Anchor, Button, Group, Skeleton, Stack, Table, Text, Title } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { Empty } from "~/components/Empty";
import { FilterBar, useFilters } from "~/components/FilterBar";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { Snippet } from "~/components/Snippet";
import { raw } from "~/lib/api";
import { curl, routesOf, search, type OpenApi, type Parameter, type Route } from "~/lib/openapi";
import { Tag, type Tone } from "~/ui/Tag";

const TONES: Record<string, Tone> = { GET: "info", POST: "good", PUT: "warn", PATCH: "warn", DELETE: "bad" };
const DOCUMENT = "/api/v1/openapi.json";

/** Everything that these pages do, they do with this API; so can anybody else. */
export default function ApiReference() {
  const { get } = useFilters();
  const wanted = get("search");
  const document = useQuery({ queryKey: ["openapi"], queryFn: async () => (await (await raw(DOCUMENT)).json()) as OpenApi, staleTime: Infinity });
  const routes = useMemo(() => (document.data ? routesOf(document.data) : []), [document.data]);
  const found = useMemo(() => search(routes, wanted), [routes, wanted]);
  const tags = [...new Set(found.map((route) => route.tag))];
  return (
    <Page
      title="API reference"
      description={<>Everything that these pages do, they do with this API, and so can you: with basic authentication, a bearer token of <code>POST /api/v1/authenticate</code>, or an API token.</>}
      actions={<Button component="a" href={DOCUMENT} download="bartizan-openapi.json" variant="default" leftSection={<IconDownload size={15} />}>OpenAPI document</Button>}
    >
      <FilterBar placeholder="Search path, word or parameter">
        {document.data && <Text size="sm" c="dimmed" role="status" pb={8}>{found.length} of {routes.length} routes</Text>}
      </FilterBar>
      <Problem error={document.error} retry={() => void document.refetch()} />
      {document.isPending && <Skeleton height={300} aria-label="Loading" />}
      {document.data && found.length === 0 && <Empty title="No route has all of these words">Try a part of the path, such as <code>policies</code>, or fewer words.</Empty>}
      {tags.map((tag) => (
        <Section key={tag} tag={tag} routes={found.filter((route) => route.tag === tag)} />
      ))}
    </Page>
  );
}

function Section({ tag, routes }: { tag: string; routes: readonly Route[] }) {
  const [opened, setOpened] = useState<string | null>(null);
  return (
    <section aria-labelledby={`tag-${tag}`}>
      <Title order={2} size="h3" mb={6} id={`tag-${tag}`} tt="capitalize">{tag.replaceAll("-", " ")}</Title>
      <Accordion variant="contained" value={opened} onChange={setOpened} order={3}>
        {routes.map((route) => (
          <Accordion.Item key={route.id} value={slug(route)}>
            <Accordion.Control>
              <Group gap="sm" align="baseline">
                <Tag tone={TONES[route.method] ?? "mute"} dot={false}>{route.method}</Tag>
                <code className="break">{route.path}</code>
                <Text span size="sm" c="dimmed">{route.summary}</Text>
              </Group>
            </Accordion.Control>
            <Accordion.Panel>{opened === slug(route) && <Details route={route} />}</Accordion.Panel>
          </Accordion.Item>
        ))}
      </Accordion>
    </section>
  );
}

/** The route's name as an id of HTML may be. */
function slug(route: Route): string {
  return route.id.replaceAll(/\W+/g, "-");
}

function Details({ route }: { route: Route }) {
  return (
    <Stack gap="sm">
      {route.description !== "" && <Text size="sm" style={{ whiteSpace: "pre-line" }} maw={800}>{route.description.replace(/(\S)\n(\S)/g, "$1 $2")}</Text>}
      <Text size="sm" c="dimmed">Permission: <code>{route.permission}</code></Text>
      {route.parameters.length > 0 && <Parameters parameters={route.parameters} />}
      <Part title="With curl"><Snippet label="Copy the command" text={curl(route, window.location.origin)} /></Part>
      {route.takes && <Part title={`Takes ${route.takes.media}`}><Snippet label="Copy the body" text={route.takes.example} /></Part>}
      {route.gives && <Part title={`Gives ${route.gives.media}: ${route.gives.text}`}><Snippet label="Copy the answer" text={route.gives.example} /></Part>}
      <Anchor href={`?search=${encodeURIComponent(route.path)}`} size="sm" underline="always">Link to this route</Anchor>
    </Stack>
  );
}

function Part({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <div>
      <Text size="sm" fw={600} mb={4}>{title}</Text>
      {children}
    </div>
  );
}

function Parameters({ parameters }: { parameters: readonly Parameter[] }) {
  return (
    <Table.ScrollContainer minWidth={300}>
      <Table verticalSpacing={4} fz="sm">
        <Table.Thead><Table.Tr><Table.Th>Parameter</Table.Th><Table.Th>In</Table.Th><Table.Th>Type</Table.Th></Table.Tr></Table.Thead>
        <Table.Tbody>
          {parameters.map((item) => (
            <Table.Tr key={`${item.in}-${item.name}`}>
              <Table.Td><code>{item.name}</code>{item.required && " (needed)"}</Table.Td>
              <Table.Td>{item.in}</Table.Td>
              <Table.Td>{typeOf(item)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function typeOf({ schema }: Parameter): string {
  const one = schema?.anyOf?.find((item) => item.type !== "null") ?? schema;
  if (one?.enum) return one.enum.map(String).join(" or ");
  return one?.type === "array" ? `${one.items?.type ?? "values"}, may be repeated` : (one?.format ?? one?.type ?? "");
}
