import { Anchor, Button, FileButton, Group, Select, SimpleGrid, Stack, Text, Textarea, Title } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";

import { Problem } from "~/components/Problem";
import { api, got, raw } from "~/lib/api";
import { withAt } from "~/lib/document";
import { ACCESS_EFFECTS, BOT_EFFECTS, GROUPS, LOCATIONS, METHODS, exceptionsOf, type WaasApplication } from "~/lib/waas";

import { ChoiceField, EffectField, FlagField, LinesField, NumberField, TextField, WordsField, type Draft } from "./fields";
import { Items } from "./Items";

const COLUMNS = { base: 1, xs: 2, md: 3 };

/** Where an application is reached, and its certificate. */
export function Endpoints({ draft }: { draft: Draft }) {
  const tls = draft.application.apiSpec.endpoints.some((endpoint) => endpoint.tls);
  return (
    <Stack gap="lg">
      <Items draft={draft} place={["apiSpec", "endpoints"]} title="Endpoints" one="endpoint" about="Clients come to the exposed port; the firewall passes on to the application's port. The task must have been protected with these ports." fresh={() => ({ host: "*", basePath: "*", exposedPort: 80, internalPort: 8080, tls: false, http2: false, grpc: false })}>
        {(place) => (
          <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} verticalSpacing="xs">
            <NumberField draft={draft} place={[...place, "exposedPort"]} label="Exposed port" min={1} max={65535} />
            <NumberField draft={draft} place={[...place, "internalPort"]} label="Application's port" min={1} max={65535} />
            <TextField draft={draft} place={[...place, "host"]} label="Host" placeholder="*" mono />
            <TextField draft={draft} place={[...place, "basePath"]} label="Base path" placeholder="*" mono />
            <FlagField draft={draft} place={[...place, "tls"]} label="TLS" />
            <FlagField draft={draft} place={[...place, "http2"]} label="HTTP/2" />
            <FlagField draft={draft} place={[...place, "grpc"]} label="gRPC" />
          </SimpleGrid>
        )}
      </Items>
      {tls && <Certificate draft={draft} />}
      {tls && (
        <SimpleGrid cols={COLUMNS} verticalSpacing="xs">
          <ChoiceField draft={draft} place={["tlsConfig", "minTLSVersion"]} label="Oldest TLS version" choices={["1.2", "1.3"]} initially="1.2" />
          <FlagField draft={draft} place={["tlsConfig", "HSTSConfig", "enabled"]} label="HSTS" description="Browsers come back by TLS alone" />
        </SimpleGrid>
      )}
    </Stack>
  );
}

function Certificate({ draft }: { draft: Draft }) {
  const kept = useQuery({ queryKey: ["waas", "certificates"], queryFn: () => got(api.GET("/api/v1/policies/firewall/app/certificates")) });
  const [pasting, setPasting] = useState(false);
  const certificate = draft.application.certificate ?? { plain: "", encrypted: "", environment: "" };
  const put = (part: Partial<typeof certificate>) => draft.change(withAt(draft.application, ["certificate"], { plain: "", encrypted: "", environment: "", ...part }));
  const source = certificate.environment !== "" ? "environment" : certificate.plain !== "" || pasting ? "plain" : certificate.encrypted;
  return (
    <Stack gap="xs">
      <Title order={3} size="h3">Certificate</Title>
      <Problem error={kept.error} />
      <Select
        label="Certificate and key"
        placeholder="Choose one"
        readOnly={draft.readOnly}
        value={source === "" ? null : source}
        data={[
          ...(kept.data ?? []).map((item) => ({ value: item.name, label: `${item.names.join(", ") || item.subject || "cannot be read"}${item.expires ? `, until ${item.expires.slice(0, 10)}` : ""}` })),
          { value: "plain", label: "Give a new one as PEM" },
          { value: "environment", label: "From a variable of the Defender" },
        ]}
        onChange={(chosen) => {
          setPasting(chosen === "plain");
          if (chosen === "environment") put({ environment: "DEFENDER_WAAS_CERTIFICATE" });
          else if (chosen === "plain") put({});
          else put({ encrypted: chosen ?? "" });
        }}
      />
      {source === "plain" && <Textarea label="Certificates, then the private key" description="PEM. The key is sealed at once and never shown again." autosize minRows={4} maxRows={10} classNames={{ input: "mono" }} value={certificate.plain} onChange={(event) => put({ plain: event.currentTarget.value })} autoComplete="off" spellCheck={false} />}
      {source === "environment" && <TextField draft={draft} place={["certificate", "environment"]} label="Variable" description="Begins with DEFENDER_WAAS_CERTIFICATE; a secret of the task definition can fill it" mono />}
    </Stack>
  );
}

/** The groups of attacks with their effects. */
export function Protections({ draft }: { draft: Draft }) {
  const all = (effect: string) => {
    let application: WaasApplication = draft.application;
    for (const group of GROUPS) if (group.nearest === undefined || application[group.key] !== undefined) application = withAt(application, [group.key, "effect"], effect);
    draft.change(application);
  };
  return (
    <Stack gap="md">
      {!draft.readOnly && (
        <Group gap="xs">
          <Text size="sm" c="dimmed">All groups:</Text>
          {["disable", "alert", "prevent", "ban"].map((effect) => <Button key={effect} size="compact-sm" variant="default" onClick={() => all(effect)}>{effect}</Button>)}
        </Group>
      )}
      <SimpleGrid cols={COLUMNS} verticalSpacing="sm">
        {GROUPS.map((group) => {
          const nearest = GROUPS.find((other) => other.key === group.nearest);
          return <EffectField key={group.key} draft={draft} place={[group.key, "effect"]} label={group.title} description={group.about} inherited={nearest?.title} />;
        })}
        <EffectField draft={draft} place={["intelGathering", "infoLeakageEffect"]} label="Information leaks" description="Error messages, private keys and listings in responses" />
      </SimpleGrid>
      <SimpleGrid cols={COLUMNS} verticalSpacing="sm">
        <NumberField draft={draft} place={["banDurationMinutes"]} label="A ban lasts" min={1} max={525600} initially={5} suffix=" min" />
        <EffectField draft={draft} place={["body", "inspectionLimitExceededEffect"]} label="Bodies beyond the limit" description="What follows when a body is too long to be looked at whole" />
        <FlagField draft={draft} place={["csrfEnabled"]} label="Against CSRF" description="SameSite=Strict on every cookie" />
        <FlagField draft={draft} place={["clickjackingEnabled"]} label="Against clickjacking" description="X-Frame-Options: SAMEORIGIN" />
        <FlagField draft={draft} place={["intelGathering", "removeFingerprintsEnabled"]} label="Hide the server" description="Take its name and version out of responses" />
      </SimpleGrid>
    </Stack>
  );
}

/** Where groups are to find nothing. */
export function Exceptions({ draft }: { draft: Draft }) {
  const shown = GROUPS.filter((group) => group.nearest === undefined || draft.application[group.key] !== undefined);
  const [chosen, setChosen] = useState(() => shown.find((group) => exceptionsOf(draft.application, group.key).length > 0)?.key ?? "sqli");
  return (
    <Stack gap="md">
      <Text size="sm" c="dimmed">
        An exception names a place where one group is to find nothing. The quickest way to one is a false alarm: open it in <Anchor component={Link} to="/monitor/events?kind=waas" size="sm">Events</Anchor> and choose “Add as exception”.
      </Text>
      <Select label="Group" allowDeselect={false} w={340} maw="100%" value={chosen} onChange={(key) => key !== null && setChosen(key as typeof chosen)} data={shown.map((group) => { const count = exceptionsOf(draft.application, group.key).length; return { value: group.key, label: count === 0 ? group.title : `${group.title} (${count})` }; })} />
      <Items draft={draft} place={[chosen, "exceptionFields"]} title="Exceptions" one="exception" about="Key and value have to match as a whole; as a pattern they are regular expressions (RE2)." fresh={() => ({ location: "query", key: "", keyPattern: false, value: "", valuePattern: false })}>
        {(place) => (
          <SimpleGrid cols={{ base: 1, xs: 2 }} verticalSpacing="xs">
            <ChoiceField draft={draft} place={[...place, "location"]} label="Where" choices={LOCATIONS.map(({ value }) => value)} initially="query" />
            <TextField draft={draft} place={[...place, "key"]} label="Name or path" mono />
            <TextField draft={draft} place={[...place, "value"]} label="Value" mono />
            <Group gap="md" align="flex-end">
              <FlagField draft={draft} place={[...place, "keyPattern"]} label="Name is a pattern" />
              <FlagField draft={draft} place={[...place, "valuePattern"]} label="Value is a pattern" />
            </Group>
          </SimpleGrid>
        )}
      </Items>
    </Stack>
  );
}

/** What the API of an application takes. */
export function ApiProtection({ draft }: { draft: Draft }) {
  const [error, setError] = useState<unknown>(null);
  const paths = draft.application.apiSpec.paths ?? [];
  const read = async (file: File | null) => {
    if (file === null) return;
    setError(null);
    try {
      const port = draft.application.apiSpec.endpoints[0]?.internalPort ?? 8080;
      const answer = await raw(`/api/v1/policies/firewall/app/apispec?internalPort=${port}`, { method: "POST", headers: { "Content-Type": "text/plain" }, body: file });
      const found = (await answer.json()) as WaasApplication["apiSpec"];
      const before = draft.application.apiSpec;
      draft.change(withAt(draft.application, ["apiSpec"], { ...before, paths: found.paths, description: found.description }));
      notifications.show({ message: `${found.paths?.length ?? 0} paths were read from ${file.name}. Choose what follows from requests that do not fit.` });
    } catch (reason) {
      setError(reason);
    }
  };
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Text size="sm" c="dimmed">{paths.length === 0 ? "No path is described yet." : `${paths.length} paths with ${paths.reduce((sum, path) => sum + (path.methods?.length ?? 0), 0)} methods are described.`}</Text>
        {!draft.readOnly && <FileButton onChange={(file) => void read(file)} accept=".json,.yaml,.yml">{(props) => <Button {...props} variant="default">Import an OpenAPI document</Button>}</FileButton>}
      </Group>
      <Problem title="The document cannot be used" error={error} />
      <SimpleGrid cols={COLUMNS} verticalSpacing="sm">
        <EffectField draft={draft} place={["apiSpec", "effect"]} label="Parameters that do not fit" />
        <EffectField draft={draft} place={["apiSpec", "fallbackEffect"]} label="Unknown paths and methods" />
        <EffectField draft={draft} place={["apiSpec", "queryParamFallbackEffect"]} label="Unknown query parameters" />
      </SimpleGrid>
      {paths.length > 0 && (
        <div className="card" style={{ maxHeight: 280, overflow: "auto" }} tabIndex={0} role="region" aria-label="Paths">
          {paths.slice(0, 500).map((path) => (
            <Text key={path.path} size="sm" className="mono break">{path.methods?.map((item) => item.method).join(", ")} {path.path}</Text>
          ))}
        </div>
      )}
    </Stack>
  );
}

function Lists({ draft, kind, title, entry }: { draft: Draft; kind: "subnets" | "countries"; title: string; entry: string }) {
  return (
    <Stack gap="xs">
      <Title order={3} size="h3">{title}</Title>
      <Group gap="lg">
        <FlagField draft={draft} place={["networkControls", kind, "enabled"]} label="On" />
        <FlagField draft={draft} place={["networkControls", kind, "allowMode"]} label="Only those allowed" initially />
      </Group>
      <SimpleGrid cols={{ base: 1, xs: 2 }} verticalSpacing="xs">
        <WordsField draft={draft} place={["networkControls", kind, "allow"]} label={`Allow ${title.toLowerCase()}`} placeholder={entry} />
        <EffectField draft={draft} place={["networkControls", kind, "fallbackEffect"]} label="Everyone else" effects={ACCESS_EFFECTS} />
        <WordsField draft={draft} place={["networkControls", kind, "alert"]} label={`Alert on ${title.toLowerCase()}`} placeholder={entry} />
        <WordsField draft={draft} place={["networkControls", kind, "prevent"]} label={`Refuse ${title.toLowerCase()}`} placeholder={entry} />
      </SimpleGrid>
    </Stack>
  );
}

/** Who comes in, with what. */
export function AccessControl({ draft }: { draft: Draft }) {
  return (
    <Stack gap="lg">
      <Lists draft={draft} kind="subnets" title="Networks" entry="192.0.2.0/24, or a network list" />
      <Lists draft={draft} kind="countries" title="Countries" entry="DE" />
      <WordsField draft={draft} place={["networkControls", "exceptionSubnets"]} label="Networks that nothing is looked at of" placeholder="192.0.2.7" />
      <Items draft={draft} place={["headerSpecs"]} title="Header fields" one="header field" about="Values with * for any characters; required fields must be there." fresh={() => ({ name: "", values: [], allow: true, required: false, effect: "alert" })}>
        {(place) => (
          <SimpleGrid cols={{ base: 1, xs: 2 }} verticalSpacing="xs">
            <TextField draft={draft} place={[...place, "name"]} label="Name" mono />
            <WordsField draft={draft} place={[...place, "values"]} label="Values" />
            <Group gap="lg"><FlagField draft={draft} place={[...place, "allow"]} label="Only these" /><FlagField draft={draft} place={[...place, "required"]} label="Required" /></Group>
            <EffectField draft={draft} place={[...place, "effect"]} label="Otherwise" />
          </SimpleGrid>
        )}
      </Items>
      <Stack gap="xs">
        <Title order={3} size="h3">Uploads</Title>
        <SimpleGrid cols={COLUMNS} verticalSpacing="xs">
          <EffectField draft={draft} place={["maliciousUpload", "effect"]} label="Files of other types" />
          <WordsField draft={draft} place={["maliciousUpload", "allowedFileTypes"]} label="Types that may come" suggestions={["pdf", "office", "odf", "jpeg", "png", "gif", "mp4", "mp3", "zip", "gzip"]} />
          <WordsField draft={draft} place={["maliciousUpload", "allowedExtensions"]} label="Endings that may come" placeholder="csv" />
        </SimpleGrid>
      </Stack>
    </Stack>
  );
}

const KNOWN_BOTS = { searchEngineCrawlers: "Search engines", businessAnalytics: "Business analytics", educational: "Educational", news: "News", financial: "Financial", contentFeedClients: "Feed readers", archiving: "Archives", careerSearch: "Job search", mediaSearch: "Media search" };
const UNKNOWN_BOTS = { generic: "Other bots", webAutomationTools: "Automation tools", webScrapers: "Scrapers", apiLibraries: "API libraries", httpLibraries: "HTTP libraries", botImpersonation: "Posing as a known bot", browserImpersonation: "Posing as a browser" };

/** Programs that come instead of people. */
export function Bots({ draft }: { draft: Draft }) {
  const spec = "botProtectionSpec";
  return (
    <Stack gap="lg">
      {([["knownBotProtectionsSpec", "Known bots", KNOWN_BOTS], ["unknownBotProtectionSpec", "Unknown bots", UNKNOWN_BOTS]] as const).map(([key, title, kinds]) => (
        <Stack key={key} gap="xs">
          <Title order={3} size="h3">{title}</Title>
          <SimpleGrid cols={COLUMNS} verticalSpacing="xs">
            {Object.entries(kinds).map(([name, label]) => <EffectField key={name} draft={draft} place={[spec, key, name]} label={label} effects={BOT_EFFECTS} />)}
          </SimpleGrid>
        </Stack>
      ))}
      <SimpleGrid cols={COLUMNS} verticalSpacing="xs">
        <FlagField draft={draft} place={[spec, "interstitialPage"]} label="Check browsers first" description="A page that only a browser gets past" />
        <FlagField draft={draft} place={["sessionCookieEnabled"]} label="Session cookie" description="Know clients by more than their address" />
        <EffectField draft={draft} place={[spec, "sessionValidation"]} label="Cookies that are not ours" />
      </SimpleGrid>
    </Stack>
  );
}

/** Too many requests. */
export function Dos({ draft }: { draft: Draft }) {
  return (
    <Stack gap="lg">
      <FlagField draft={draft} place={["dosConfig", "enabled"]} label="Count requests" description="0 is no limit. Burst is the mean of a second over 5 seconds, average over 120." />
      <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} verticalSpacing="xs">
        <NumberField draft={draft} place={["dosConfig", "alert", "burst"]} label="Alert: burst" suffix=" /s" />
        <NumberField draft={draft} place={["dosConfig", "alert", "average"]} label="Alert: average" suffix=" /s" />
        <NumberField draft={draft} place={["dosConfig", "ban", "burst"]} label="Ban: burst" suffix=" /s" />
        <NumberField draft={draft} place={["dosConfig", "ban", "average"]} label="Ban: average" suffix=" /s" />
      </SimpleGrid>
      <WordsField draft={draft} place={["dosConfig", "excludedNetworkLists"]} label="Who is not counted" placeholder="A network list or subnet" />
      <Items draft={draft} place={["dosConfig", "matchConditions"]} title="What counts" one="condition" about="Within one all has to fit, of several one; without any, all requests count." fresh={() => ({ methods: [], fileTypes: [], responseCodeRanges: [] })}>
        {(place) => (
          <SimpleGrid cols={{ base: 1, xs: 2 }} verticalSpacing="xs">
            <WordsField draft={draft} place={[...place, "methods"]} label="Methods" suggestions={METHODS} />
            <WordsField draft={draft} place={[...place, "fileTypes"]} label="Endings of the path" placeholder="pdf" />
          </SimpleGrid>
        )}
      </Items>
    </Stack>
  );
}

/** Rules of one's own, and what refused clients get. */
export function OwnRules({ draft }: { draft: Draft }) {
  return (
    <Stack gap="lg">
      <Items draft={draft} place={["customRules"]} title="Rules of your own" one="rule" about="Virtual patches: what a known hole needs is refused until the hole is closed." fresh={() => ({ _id: 1 + Math.max(0, ...(draft.application.customRules ?? []).map((rule) => Number(rule["_id"] ?? 0))), name: "", type: "waas-request", expression: "", message: "", effect: "alert", action: "audit" })}>
        {(place) => (
          <Stack gap="xs">
            <SimpleGrid cols={COLUMNS} verticalSpacing="xs">
              <TextField draft={draft} place={[...place, "name"]} label="Name" />
              <ChoiceField draft={draft} place={[...place, "type"]} label="Looks at" choices={["waas-request", "waas-response"]} initially="waas-request" />
              <EffectField draft={draft} place={[...place, "effect"]} label="Effect" effects={BOT_EFFECTS} />
            </SimpleGrid>
            <LinesField draft={draft} place={[...place, "expression"]} label="Expression" placeholder={'req.path startswith "/admin"'} />
            <TextField draft={draft} place={[...place, "message"]} label="Message of its events" />
          </Stack>
        )}
      </Items>
      <Stack gap="xs">
        <Title order={3} size="h3">Block page</Title>
        <SimpleGrid cols={COLUMNS} verticalSpacing="xs">
          <FlagField draft={draft} place={["customBlockResponse", "enabled"]} label="A page of your own" />
          <NumberField draft={draft} place={["customBlockResponse", "code"]} label="Status" min={200} max={599} initially={403} />
          <FlagField draft={draft} place={["disableEventIDHeader"]} label="No header field with the event's number" />
        </SimpleGrid>
        <LinesField draft={draft} place={["customBlockResponse", "body"]} label="HTML" description="#eventID stands for the event's number" />
      </Stack>
      <Items draft={draft} place={["responseHeaderSpecs"]} title="Header fields of responses" one="field" about="Added to every response." fresh={() => ({ name: "", values: [], override: false })}>
        {(place) => (
          <SimpleGrid cols={COLUMNS} verticalSpacing="xs">
            <TextField draft={draft} place={[...place, "name"]} label="Name" mono />
            <WordsField draft={draft} place={[...place, "values"]} label="Values" />
            <FlagField draft={draft} place={[...place, "override"]} label="In place of the application's" />
          </SimpleGrid>
        )}
      </Items>
    </Stack>
  );
}
