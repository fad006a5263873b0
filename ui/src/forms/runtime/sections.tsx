import { Button, Group, NativeSelect, Select, Stack, Text } from "@mantine/core";
import { useState } from "react";

import { Severity } from "~/components/Severity";
import type { Shapes } from "~/lib/api";
import { DETECTIONS } from "~/lib/detections";
import { emptyRule, type EffectName, type Placed, type Rule } from "~/lib/runtime-policy";

import { EffectField, errorOf, Flag, LinesField, Pair, Part, PortsField } from "./fields";

export interface SectionProps {
  rule: Rule;
  onChange: (rule: Rule) => void;
  readOnly: boolean;
  problems: readonly Placed[];
}

const EMPTY = emptyRule("");

/** Program starts. */
export function Processes({ rule, onChange, readOnly, problems }: SectionProps) {
  const section = { ...EMPTY.processes, ...rule.processes } as Shapes["ProcessesShape"];
  const set = (change: Partial<Shapes["ProcessesShape"]>) => onChange({ ...rule, processes: { ...section, ...change } });
  const list = { readOnly, placeholder: "curl\n/opt/tools/*\nsha256:…" };
  return (
    <Part>
      <EffectField label="Effect of processes" value={section.effect} onChange={(effect) => set({ effect })} readOnly={readOnly} />
      <Pair>
        <LinesField {...list} label="Denied programs" description="These never start: names, globs on absolute paths, or sha256:…" value={section.blacklist} onChange={(blacklist) => set({ blacklist })} error={errorOf(problems, "processes.blacklist")} />
        <LinesField {...list} label="Allowed programs" description="If there are any, every other program is a violation." value={section.whitelist} onChange={(whitelist) => set({ whitelist })} error={errorOf(problems, "processes.whitelist")} />
      </Pair>
      <Pair>
        <Flag readOnly={readOnly} label="Crypto miners" description="Known names, pools and arguments of miners." checked={section.checkCryptoMiners} onChange={(checkCryptoMiners) => set({ checkCryptoMiners })} />
        <Flag readOnly={readOnly} label="Modified programs" description="A program was changed since the start, or differs from its package." checked={!section.skipModified} onChange={(on) => set({ skipModified: !on })} />
        <Flag readOnly={readOnly} label="New programs" description="A program that is not of the image." checked={section.checkNewBinaries} onChange={(checkNewBinaries) => set({ checkNewBinaries })} />
        <Flag readOnly={readOnly} label="Lateral movement" description="Tools for moving on to other machines." checked={section.checkLateralMovement} onChange={(checkLateralMovement) => set({ checkLateralMovement })} />
        <Flag readOnly={readOnly} label="Everything but the main program" description="Only what the container was started for may run." checked={section.blockAllBinaries} onChange={(blockAllBinaries) => set({ blockAllBinaries })} />
      </Pair>
    </Part>
  );
}

/** Connections and listening ports. */
export function Network({ rule, onChange, readOnly, problems }: SectionProps) {
  const section = { ...EMPTY.network, ...rule.network } as Shapes["NetworkShape"];
  const set = (change: Partial<Shapes["NetworkShape"]>) => onChange({ ...rule, network: { ...section, ...change } });
  const lists = { readOnly, placeholder: "203.0.113.0/24" };
  const ports = { readOnly, placeholder: "443\n8000-8100" };
  const error = (name: string) => errorOf(problems, `network.${name}`);
  return (
    <Part>
      <EffectField label="Effect of the network" value={section.effect} onChange={(effect) => set({ effect })} readOnly={readOnly} />
      <Pair>
        <LinesField {...lists} label="Denied addresses" description="IPv4 and IPv6, single or as CIDR blocks." value={section.blacklistIPs} onChange={(blacklistIPs) => set({ blacklistIPs })} error={error("blacklistIPs")} />
        <LinesField {...lists} label="Allowed addresses" description="If there are any, every other destination is a violation." value={section.whitelistIPs} onChange={(whitelistIPs) => set({ whitelistIPs })} error={error("whitelistIPs")} />
        <PortsField {...ports} label="Denied outgoing ports" description="Ports that nobody may connect to." value={section.blacklistOutboundPorts} onChange={(blacklistOutboundPorts) => set({ blacklistOutboundPorts })} error={error("blacklistOutboundPorts")} />
        <PortsField {...ports} label="Allowed outgoing ports" description="If there are any, every other port is a violation." value={section.whitelistOutboundPorts} onChange={(whitelistOutboundPorts) => set({ whitelistOutboundPorts })} error={error("whitelistOutboundPorts")} />
        <PortsField {...ports} label="Denied listening ports" description="Ports that nobody may listen on." value={section.blacklistListeningPorts} onChange={(blacklistListeningPorts) => set({ blacklistListeningPorts })} error={error("blacklistListeningPorts")} />
        <PortsField {...ports} label="Allowed listening ports" description="If there are any, listening elsewhere is a violation." value={section.whitelistListeningPorts} onChange={(whitelistListeningPorts) => set({ whitelistListeningPorts })} error={error("whitelistListeningPorts")} />
      </Pair>
      <Flag readOnly={readOnly} label="Unresolved private addresses too" description="The detection unresolvedAddress also finds private addresses; it has to be on." checked={section.checkUnresolvedPrivate} onChange={(checkUnresolvedPrivate) => set({ checkUnresolvedPrivate })} />
    </Part>
  );
}

/** Look-ups. */
export function Dns({ rule, onChange, readOnly, problems }: SectionProps) {
  const section = { ...EMPTY.dns, ...rule.dns } as Shapes["DnsShape"];
  const set = (change: Partial<Shapes["DnsShape"]>) => onChange({ ...rule, dns: { ...section, ...change } });
  const list = { readOnly, placeholder: "*.example.com" };
  return (
    <Part>
      <EffectField label="Effect of DNS" value={section.effect} onChange={(effect) => set({ effect })} readOnly={readOnly} />
      <Pair>
        <LinesField {...list} label="Denied names" description="They are not looked up; * also spans dots." value={section.blacklist} onChange={(blacklist) => set({ blacklist })} error={errorOf(problems, "dns.blacklist")} />
        <LinesField {...list} label="Allowed names" description="If there are any, every other name is a violation." value={section.whitelist} onChange={(whitelist) => set({ whitelist })} error={errorOf(problems, "dns.whitelist")} />
      </Pair>
    </Part>
  );
}

/** Writes to files. */
export function Files({ rule, onChange, readOnly, problems }: SectionProps) {
  const section = { ...EMPTY.filesystem, ...rule.filesystem } as Shapes["FilesystemShape"];
  const set = (change: Partial<Shapes["FilesystemShape"]>) => onChange({ ...rule, filesystem: { ...section, ...change } });
  const list = { readOnly, placeholder: "/etc\n*/.ssh" };
  return (
    <Part>
      <EffectField label="Effect of files" value={section.effect} onChange={(effect) => set({ effect })} readOnly={readOnly} />
      <Pair>
        <LinesField {...list} label="Denied paths" description="Nothing is written at or beneath them. Reading is never judged." value={section.blacklist} onChange={(blacklist) => set({ blacklist })} error={errorOf(problems, "filesystem.blacklist")} />
        <LinesField {...list} label="Allowed paths" description="If there are any, every other write is a violation." value={section.whitelist} onChange={(whitelist) => set({ whitelist })} error={errorOf(problems, "filesystem.whitelist")} />
      </Pair>
      <Pair>
        <Flag readOnly={readOnly} label="New programs and certificates" description="A binary or a certificate is written." checked={section.checkNewFiles} onChange={(checkNewFiles) => set({ checkNewFiles })} />
        <Flag readOnly={readOnly} label="Back doors" description="Keys of SSH, accounts and sudoers." checked={section.backdoorFiles} onChange={(backdoorFiles) => set({ backdoorFiles })} />
        <Flag readOnly={readOnly} label="Suspicious ELF headers" description="Programs made to mislead who reads them." checked={section.suspiciousELFHeaders} onChange={(suspiciousELFHeaders) => set({ suspiciousELFHeaders })} />
        <Flag readOnly={readOnly} label="Packed programs" description="Programs whose contents are compressed or encrypted." checked={!section.skipEncryptedBinaries} onChange={(on) => set({ skipEncryptedBinaries: !on })} />
      </Pair>
    </Part>
  );
}

const CHOICES = [
  { value: "", label: "As the rule asks" },
  { value: "disable", label: "Disable" },
  { value: "alert", label: "Alert" },
  { value: "prevent", label: "Prevent" },
];

/** What a Defender finds by itself, each with an effect of its own. */
export function Detections({ rule, onChange, readOnly }: SectionProps) {
  const set = (name: string, value: string) => {
    const others = Object.fromEntries(Object.entries(rule.detections).filter(([other]) => other !== name));
    onChange({ ...rule, detections: value === "" ? others : { ...others, [name]: value as EffectName } });
  };
  return (
    <Part>
      <Flag readOnly={readOnly} label="Advanced protection" description="Reverse and web shells, programs without a file, port scans, unseen connections, tampering: reported, whatever the sections say." checked={rule.advancedProtection} onChange={(advancedProtection) => onChange({ ...rule, advancedProtection })} />
      <Stack gap={0} component="ul" p={0} m={0} style={{ listStyle: "none" }}>
        {DETECTIONS.map((item) => (
          <Group key={item.name} component="li" wrap="nowrap" justify="space-between" gap="sm" py={6} style={{ borderTop: "1px solid var(--bz-line)" }}>
            <div style={{ minWidth: 0 }}>
              <Group gap="xs">
                <Text component="span" size="sm" fw={560} className="break">{item.name}</Text>
                <Severity severity={item.severity} />
              </Group>
              <Text size="xs" c="dimmed">{item.title.slice(0, 1).toUpperCase() + item.title.slice(1)}.</Text>
            </div>
            <NativeSelect size="xs" w={142} miw={142} aria-label={`Effect of ${item.name}`} data={CHOICES} disabled={readOnly} value={rule.detections[item.name] ?? ""} onChange={(event) => set(item.name, event.currentTarget.value)} />
          </Group>
        ))}
      </Stack>
    </Part>
  );
}

const CUSTOM = [
  { value: "disable", label: "Disable" },
  { value: "allow", label: "Allow" },
  { value: "alert", label: "Alert" },
  { value: "prevent", label: "Prevent" },
];

/** The custom rules that are tried before everything else. */
export function CustomRules({ rule, onChange, readOnly, library }: SectionProps & { library: readonly Shapes["CustomRuleShape"][] }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const attached = rule.customRules;
  const put = (customRules: Rule["customRules"]) => onChange({ ...rule, customRules });
  const free = library.filter((item) => !attached.some((other) => other._id === item._id));
  return (
    <Part>
      <Text size="xs" c="dimmed">They are tried in this order before everything else; the first that matches decides.</Text>
      {attached.map((item, index) => {
        const name = library.find((other) => other._id === item._id)?.name ?? `custom rule ${item._id}`;
        const change = (part: Partial<typeof item>) => put(attached.map((other) => (other === item ? { ...item, ...part } : other)));
        return (
          <Group key={item._id} gap="xs" wrap="wrap">
            <Text size="sm" className="break" style={{ flex: "1 1 10rem" }}>{index + 1}. {name}</Text>
            <NativeSelect size="xs" aria-label={`Effect of ${name}`} data={CUSTOM} value={item.effect} disabled={readOnly} onChange={(event) => change({ effect: event.currentTarget.value as typeof item.effect })} />
            <NativeSelect size="xs" aria-label={`A match of ${name} is kept as`} data={[{ value: "audit", label: "Audit" }, { value: "incident", label: "Incident" }]} value={item.action} disabled={readOnly} onChange={(event) => change({ action: event.currentTarget.value as typeof item.action })} />
            {!readOnly && <Button size="compact-xs" variant="subtle" aria-label={`Detach ${name}`} onClick={() => put(attached.filter((other) => other !== item))}>Detach</Button>}
          </Group>
        );
      })}
      {!readOnly && (
        <Group gap="xs" align="flex-end">
          <Select label="Custom rule to attach" placeholder={free.length === 0 ? "The library has no other" : "Choose one"} disabled={free.length === 0} searchable w={280} data={free.map((item) => ({ value: String(item._id), label: item.name }))} value={chosen} onChange={setChosen} />
          <Button variant="default" disabled={chosen === null} onClick={() => { put([...attached, { _id: Number(chosen), effect: "alert", action: "audit" }]); setChosen(null); }}>Attach</Button>
        </Group>
      )}
    </Part>
  );
}
