import { Button, Group, Loader, Stack, Tabs, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconKey, IconPlus } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Confirm } from "~/components/Confirm";
import { DataTable, type Column } from "~/components/DataTable";
import { Empty } from "~/components/Empty";
import { FilterBar, useFilters } from "~/components/FilterBar";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { CredentialEditor, KINDS } from "~/forms/CredentialEditor";
import { RegistryEditor, VERSIONS } from "~/forms/RegistryEditor";
import { RegistryTest } from "~/forms/RegistryTest";
import { api, got, type Shapes } from "~/lib/api";
import { useCan } from "~/lib/session";

type Credential = Shapes["CredentialAnswer"];
type Registry = Shapes["RegistrySpecification"];
type Image = Shapes["KnownImage"];

/** What opens registries, which registries there are, and the images that are known of them. */
export default function Credentials() {
  const { get, set } = useFilters();
  const settings = useCan("settingsRead");
  const images = useCan("imagesRead");
  const writes = useCan("credentialsWrite");
  const credentials = useQuery({ queryKey: ["credentials"], queryFn: () => got(api.GET("/api/v1/credentials")) });
  const names = (credentials.data ?? []).map((item) => item._id);
  return (
    <Page title="Credentials & registries" description="The Console asks registries what images start, so that protected definitions can start it in turn. Secrets go in sealed, to one registry each, and never come out.">
      <Problem error={credentials.error} retry={() => void credentials.refetch()} />
      <Tabs value={get("tab") || "credentials"} onChange={(tab) => set({ tab: tab === "credentials" ? null : tab, search: null })} keepMounted={false}>
        <Tabs.List mb="sm">
          <Tabs.Tab value="credentials">Credentials</Tabs.Tab>
          {settings && <Tabs.Tab value="registries">Registries</Tabs.Tab>}
          {images && <Tabs.Tab value="images">Known images</Tabs.Tab>}
          {writes && <Tabs.Tab value="test">Test</Tabs.Tab>}
        </Tabs.List>
        <Tabs.Panel value="credentials">{credentials.data ? <CredentialList credentials={credentials.data} /> : credentials.isPending && <Loader size="sm" aria-label="Loading" />}</Tabs.Panel>
        <Tabs.Panel value="registries"><RegistryList credentials={names} /></Tabs.Panel>
        <Tabs.Panel value="images"><Images /></Tabs.Panel>
        <Tabs.Panel value="test"><RegistryTest credentials={names} /></Tabs.Panel>
      </Tabs>
    </Page>
  );
}

function CredentialList({ credentials }: { credentials: readonly Credential[] }) {
  const writes = useCan("credentialsWrite");
  const client = useQueryClient();
  const [edited, setEdited] = useState<Credential | "new" | null>(null);
  const [removed, setRemoved] = useState<Credential | null>(null);
  const columns: Column<Credential>[] = [
    { key: "id", title: "Name", render: (row) => <b>{row._id}</b>, sort: (row) => row._id },
    { key: "type", title: "Kind", width: 190, render: (row) => KINDS[row.type as keyof typeof KINDS] ?? row.type, sort: (row) => row.type },
    { key: "account", title: "User", render: (row) => row.accountID || "–", sort: (row) => row.accountID },
    { key: "url", title: "Registry", render: (row) => row.url || "as registries say", sort: (row) => row.url },
    { key: "modified", title: "Changed", width: 190, render: (row) => <><Time value={row.lastModified} /> <Text span size="xs" c="dimmed">{row.owner}</Text></>, sort: (row) => row.lastModified },
    {
      key: "actions",
      title: "",
      width: 160,
      align: "end",
      render: (row) =>
        writes && (
          <Group gap={4} justify="flex-end">
            <Button size="compact-xs" variant="default" onClick={() => setEdited(row)} aria-label={`Change ${row._id}`}>Change</Button>
            <Button size="compact-xs" variant="subtle" onClick={() => setRemoved(row)} aria-label={`Remove ${row._id}`}>Remove</Button>
          </Group>
        ),
    },
  ];
  const add = writes && <Button leftSection={<IconPlus size={16} />} onClick={() => setEdited("new")}>Add a credential</Button>;
  return (
    <Stack gap="sm">
      {credentials.length > 0 && add && <Group>{add}</Group>}
      {credentials.length > 0 ? (
        <DataTable label="Credentials" columns={columns} rows={credentials} rowKey={(row) => row._id} />
      ) : (
        <Empty title="No credential yet" icon={<IconKey size={24} />} actions={add}>Public images need none. For private ones add a user and password, a token, or an AWS key; then name the registry that it opens.</Empty>
      )}
      <CredentialEditor key={edited === "new" ? "new" : edited?._id} credential={edited === "new" ? null : edited} opened={edited !== null} onClose={() => setEdited(null)} />
      <Confirm
        opened={removed !== null}
        onClose={() => setRemoved(null)}
        title={`Remove ${removed?._id ?? ""}?`}
        action="Remove"
        danger
        onConfirm={async () => {
          await api.DELETE("/api/v1/credentials/{credential}", { params: { path: { credential: removed?._id ?? "" } } });
          notifications.show({ message: "The credential and its secret are gone." });
          await client.invalidateQueries({ queryKey: ["credentials"] });
        }}
      >
        Its secret is forgotten. A registry that names it keeps it from being removed.
      </Confirm>
    </Stack>
  );
}

function RegistryList({ credentials }: { credentials: readonly string[] }) {
  const writes = useCan("settingsWrite");
  const client = useQueryClient();
  const [edited, setEdited] = useState<number | "new" | null>(null);
  const [removed, setRemoved] = useState<number | null>(null);
  const registries = useQuery({ queryKey: ["registries"], queryFn: () => got(api.GET("/api/v1/settings/registry")) });
  if (!registries.data) return registries.isPending ? <Loader size="sm" aria-label="Loading" /> : <Problem error={registries.error} retry={() => void registries.refetch()} />;
  const all = registries.data.specifications;
  const rows = all.map((registry, place) => ({ ...registry, place }));
  const columns: Column<Registry & { place: number }>[] = [
    { key: "registry", title: "Registry", render: (row) => <b>{row.registry || "Docker Hub"}</b> },
    { key: "version", title: "Kind", width: 170, render: (row) => VERSIONS[row.version] ?? row.version },
    { key: "images", title: "Images", render: (row) => <code>{`${row.repository || "*"}:${row.tag || "*"}`}</code> },
    { key: "credential", title: "Credential", render: (row) => row.credentialID || "none" },
    { key: "ca", title: "Authority", width: 110, render: (row) => (row.caCert ? "private" : "public") },
    {
      key: "actions",
      title: "",
      width: 160,
      align: "end",
      render: (row) =>
        writes && (
          <Group gap={4} justify="flex-end">
            <Button size="compact-xs" variant="default" onClick={() => setEdited(row.place)} aria-label={`Change registry ${row.place + 1}`}>Change</Button>
            <Button size="compact-xs" variant="subtle" onClick={() => setRemoved(row.place)} aria-label={`Remove registry ${row.place + 1}`}>Remove</Button>
          </Group>
        ),
    },
  ];
  const add = writes && <Button leftSection={<IconPlus size={16} />} onClick={() => setEdited("new")}>Add a registry</Button>;
  return (
    <Stack gap="sm">
      {rows.length > 0 && add && <Group>{add}</Group>}
      {rows.length > 0 ? <DataTable label="Registries" columns={columns} rows={rows} rowKey={(row) => row.place} /> : <Empty title="No registry is set up" actions={add}>Public registries work as they are. Set one up to have it opened by a credential, or to trust its private authority. The first one that covers an image counts.</Empty>}
      <RegistryEditor registries={all} index={edited === "new" ? null : edited} opened={edited !== null} onClose={() => setEdited(null)} credentials={credentials} />
      <Confirm
        opened={removed !== null}
        onClose={() => setRemoved(null)}
        title="Remove this registry?"
        action="Remove"
        danger
        onConfirm={async () => {
          await api.PUT("/api/v1/settings/registry", { body: { specifications: all.filter((_, place) => place !== removed) } });
          await client.invalidateQueries({ queryKey: ["registries"] });
        }}
      >
        Its images are asked for without a credential from now on, unless another registry of the list covers them.
      </Confirm>
    </Stack>
  );
}

const IMAGES: readonly Column<Image>[] = [
  { key: "reference", title: "Image", render: (row) => <b>{row.reference}</b>, sort: (row) => row.reference },
  { key: "architecture", title: "Processor", width: 100, render: (row) => row.architecture, sort: (row) => row.architecture },
  { key: "starts", title: "Starts", render: (row) => <code>{[...row.image.entrypoint, ...row.image.cmd].join(" ") || "–"}</code> },
  { key: "origin", title: "Learnt from", render: (row) => row.origin },
  { key: "time", title: "Learnt", width: 140, render: (row) => <Time value={row.scanTime} relative />, sort: (row) => row.scanTime },
];

function Images() {
  const { get } = useFilters();
  const search = get("search");
  const images = useQuery({ queryKey: ["images", search], queryFn: () => got(api.GET("/api/v1/images", { params: { query: { search, limit: 250 } } })) });
  return (
    <Stack gap="sm">
      <FilterBar placeholder="Image or digest" />
      <Problem error={images.error} retry={() => void images.refetch()} />
      {images.data && images.data.length > 0 && <DataTable label="Known images" columns={IMAGES} rows={images.data} rowKey={(row) => `${row._id} ${row.architecture} ${row.reference}`} />}
      {images.data && images.data.length === 0 && <Empty title="No image is known">What a registry said of an image is kept here, from look-ups while protecting and from tests.</Empty>}
    </Stack>
  );
}
