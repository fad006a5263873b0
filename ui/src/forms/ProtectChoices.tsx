import { Accordion, Autocomplete, Checkbox, Select, SimpleGrid, Stack, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { raw } from "~/lib/api";
import type { Choices, Format } from "~/lib/protect";
import { useCan } from "~/lib/session";

interface Form {
  format: Format;
  choices: Choices;
  /** The names in the Console's certificate. */
  names: readonly string[];
  onChange: (choices: Choices) => void;
}

/** How a definition is protected: the Console's name first, everything else where it is looked for. */
export function ProtectChoices({ format, choices, names, onChange }: Form) {
  const set = <Name extends keyof Choices>(name: Name, value: Choices[Name]) => onChange({ ...choices, [name]: value });
  const unknown = choices.consoleaddr !== "" && names.length > 0 && !names.includes(choices.consoleaddr.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
  return (
    <Stack gap="sm">
      <SimpleGrid cols={{ base: 1, sm: 2, lg: 4 }} spacing="sm">
        <Autocomplete
          label="Console's name for Defenders"
          description="Tasks reach the Console by it"
          data={[...names]}
          value={choices.consoleaddr}
          onChange={(value) => set("consoleaddr", value)}
          error={unknown ? "This name is not in the certificate: add it on the page Names" : undefined}
        />
        {format === "dockerfile" && (
          <>
            <TextInput label="App ID" description="Names the workload in rules and events" required value={choices.appID} onChange={(event) => set("appID", event.currentTarget.value)} />
            <TextInput label="Data folder" description="Where the Defender lies in the image" value={choices.dataFolder} onChange={(event) => set("dataFolder", event.currentTarget.value)} />
          </>
        )}
        <TextInput label="Ports of the firewall" description="EXPOSED:APP, as 80:8080; empty for none" placeholder="80:8080" value={choices.waasPorts} onChange={(event) => set("waasPorts", event.currentTarget.value)} />
      </SimpleGrid>
      <Accordion variant="contained" chevronPosition="left">
        <Accordion.Item value="more">
          <Accordion.Control>More choices</Accordion.Control>
          <Accordion.Panel>
            <SimpleGrid cols={{ base: 1, md: 3 }} spacing="lg">
              <Detection format={format} choices={choices} set={set} />
              <LookUp choices={choices} set={set} />
              {format === "task" ? <Places choices={choices} set={set} /> : <Building choices={choices} set={set} />}
            </SimpleGrid>
          </Accordion.Panel>
        </Accordion.Item>
      </Accordion>
    </Stack>
  );
}

interface Part {
  choices: Choices;
  set: <Name extends keyof Choices>(name: Name, value: Choices[Name]) => void;
}

function Detection({ format, choices, set }: Part & { format: Format }) {
  return (
    <Stack gap="sm">
      <Checkbox label="Watch the file system" description="Writes to files are judged, too" checked={choices.filesystemMonitoring} onChange={(event) => set("filesystemMonitoring", event.currentTarget.checked)} />
      {format === "task" ? (
        <TextInput label="Containers whose programs gain rights" description="Their names: sudo and setuid programs work there, and the Defender sees less" value={choices.compat} onChange={(event) => set("compat", event.currentTarget.value)} />
      ) : (
        <Checkbox label="Programs may gain rights" description="sudo and setuid programs work, and the Defender sees less" checked={choices.compat !== ""} onChange={(event) => set("compat", event.currentTarget.checked ? "yes" : "")} />
      )}
      <Checkbox label="Allow 32-bit programs" checked={choices.allow32bit} onChange={(event) => set("allow32bit", event.currentTarget.checked)} />
    </Stack>
  );
}

function LookUp({ choices, set }: Part) {
  const may = useCan("credentialsRead");
  const credentials = useQuery({
    queryKey: ["credentials"],
    queryFn: async () => (await (await raw("/api/v1/credentials")).json()) as { _id: string }[],
    enabled: may,
  });
  const looksUp = choices.extractEntrypoint || choices.findPrivileged;
  return (
    <Stack gap="sm">
      <Checkbox label="Ask registries what images start" description="For containers that do not say it themselves" checked={choices.extractEntrypoint} onChange={(event) => set("extractEntrypoint", event.currentTarget.checked)} />
      <Checkbox label="Look for programs that gain rights" description="Reads the images; takes longer" checked={choices.findPrivileged} onChange={(event) => set("findPrivileged", event.currentTarget.checked)} />
      <Select label="Credential" placeholder={may ? "None" : "Your role may not see credentials"} clearable disabled={!looksUp || !may} data={(credentials.data ?? []).map((item) => item._id)} value={choices.registryCredentialID || null} onChange={(value) => set("registryCredentialID", value ?? "")} />
      <TextInput label="Kind of registry" description="As `aws`; empty to find it" disabled={!looksUp} value={choices.registryType} onChange={(event) => set("registryType", event.currentTarget.value)} />
    </Stack>
  );
}

function Places({ choices, set }: Part) {
  return (
    <Stack gap="sm">
      <TextInput label="Defender's image" description="Empty for the Console's own choice" value={choices.defenderImage} onChange={(event) => set("defenderImage", event.currentTarget.value)} />
      <TextInput label="Secret that opens its registry" description="An ARN" value={choices.defenderImagePullSecret} onChange={(event) => set("defenderImagePullSecret", event.currentTarget.value)} />
      <TextInput label="Secret that holds the install bundle" description="An ARN; the bundle is then left out of the definition" value={choices.installBundleSecret} onChange={(event) => set("installBundleSecret", event.currentTarget.value)} />
    </Stack>
  );
}

function Building({ choices, set }: Part) {
  return (
    <Stack gap="sm">
      <Select label="When the Defender cannot start" allowDeselect={false} data={[{ value: "open", label: "start the application without it" }, { value: "closed", label: "do not start the application" }]} value={choices.failMode} onChange={(value) => set("failMode", value as Choices["failMode"])} />
      <TextInput label="Stage" description="Of a Dockerfile with several; empty for the last" value={choices.target} onChange={(event) => set("target", event.currentTarget.value)} />
      <Select label="Machine" clearable placeholder="As the Dockerfile says" data={["amd64", "arm64"]} value={choices.architecture || null} onChange={(value) => set("architecture", (value ?? "") as Choices["architecture"])} />
      <Checkbox label="Take the place of another Defender" description="One that the Dockerfile already has" checked={choices.migrate} onChange={(event) => set("migrate", event.currentTarget.checked)} />
    </Stack>
  );
}
