import { Anchor, Button, Drawer, Group, Loader, Stack, Text, Title } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { Link } from "react-router";

import { Confirm } from "~/components/Confirm";
import { Facts } from "~/components/Facts";
import { Problem } from "~/components/Problem";
import { Time } from "~/components/Time";
import { api, got } from "~/lib/api";
import { useCan } from "~/lib/session";
import { Tag } from "~/ui/Tag";

import { GAPS, State, Sync, TYPES, type Defender } from "./words";

/** All that is known of one Defender, and what can be done with it. */
export function DefenderDetail({ id, onClose }: { id: string; onClose: () => void }) {
  const defender = useQuery({
    queryKey: ["defenders", "one", id],
    queryFn: () => got(api.GET("/api/v1/defenders/{defender}", { params: { path: { defender: id } } })),
    enabled: id !== "",
    refetchInterval: 5000,
  });
  return (
    <Drawer opened={id !== ""} onClose={onClose} title={<Text component="span" fw={620} className="break">{defender.data?.appID ?? "Defender"}</Text>} closeButtonProps={{ "aria-label": "Close" }}>
      <Problem error={defender.error} retry={() => void defender.refetch()} />
      {defender.isPending && id !== "" && <Loader size="sm" aria-label="Loading" />}
      {defender.data && <Detail defender={defender.data} />}
    </Drawer>
  );
}

function Detail({ defender }: { defender: Defender }) {
  const events = `/monitor/events?appID=${encodeURIComponent(defender.appID)}`;
  return (
    <Stack gap="lg">
      <Group gap="xs">
        <State state={defender.state} />
        <Sync sync={defender.sync} />
        {!defender.latest && <Tag tone="warn">Other version than the Console</Tag>}
        {defender.certificateEndsSoon && <Tag tone="bad">Certificate was not renewed</Tag>}
      </Group>
      <Gaps defender={defender} />
      <Part title="Identity">
        <Facts
          items={[
            ["Kind", TYPES[defender.type]],
            ["App ID", defender.appID],
            ["Task", defender.task],
            ["Host", defender.host],
            ["Version", defender.version],
            ["Processor", defender.architecture],
            ["Instance", <code key="id">{defender.id}</code>],
            ["Install bundle", <code key="bundle">{defender.bundle}</code>],
          ]}
        />
      </Part>
      <Part title="Contact">
        <Facts
          items={[
            ["First seen", <Time key="first" value={defender.firstSeen} />],
            ["Connected since", defender.connected ? <Time key="since" value={defender.connectedSince} /> : null],
            ["Last contact", <Time key="last" value={defender.lastModified} relative />],
            ["Said at its end", defender.goodbye],
            ["Leaves this list", defender.removal ? <Time key="removal" value={defender.removal} relative /> : null],
            ["Certificate ends", <Time key="certificate" value={defender.certificateExpiration} relative />],
            ["Audits since connecting", defender.auditCount.toLocaleString("en")],
            ["Latest audit", defender.lastAudit ? <Time key="audit" value={defender.lastAudit} relative /> : null],
          ]}
        />
        <Anchor component={Link} to={events} size="sm">Events of this application</Anchor>
      </Part>
      <Workloads defender={defender} />
      <Firewall defender={defender} />
      <Actions defender={defender} />
    </Stack>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Stack gap={8}>
      <Title order={3}>{title}</Title>
      {children}
    </Stack>
  );
}

function Gaps({ defender }: { defender: Defender }) {
  if (defender.gaps.length === 0) return null;
  return (
    <Part title="Goes unprotected">
      <Stack gap={6} component="ul" m={0} pl={0} style={{ listStyle: "none" }}>
        {defender.gaps.map((gap) => (
          <li key={`${gap.kind} ${gap.name}`}>
            <Group gap="xs" align="baseline" wrap="nowrap">
              <Tag tone={gap.kind === "noRule" ? "warn" : "bad"}>{GAPS[gap.kind] ?? gap.kind}</Tag>
              <Text size="sm" className="break">
                {gap.name !== "" && <code>{gap.name}</code>} {gap.reason}
              </Text>
            </Group>
          </li>
        ))}
      </Stack>
    </Part>
  );
}

function Workloads({ defender }: { defender: Defender }) {
  return (
    <Part title={defender.workloads.length === 1 ? "Workload" : "Containers"}>
      {defender.workloads.map((workload) => (
        <div key={workload.container ?? ""} className="card">
          <Stack gap={8}>
            <Text fw={600} size="sm" className="break">{workload.container ?? defender.appID}</Text>
            <Facts
              items={[
                ["Image", workload.image],
                ["Rule", workload.rule === "" ? "none applies" : <Anchor key="rule" component={Link} to={`/defend/runtime?rule=${encodeURIComponent(workload.rule)}`} size="sm">{workload.rule}</Anchor>],
                ["Tier", workload.tier === null ? "has not spoken yet" : `${workload.tier}${workload.tierReasons.length > 0 ? `: ${workload.tierReasons.join("; ")}` : ""}`],
                ["Policy in force", <Hash key="hash" value={workload.policyHash} />],
                ["Policy wanted", workload.policyHash === workload.desiredPolicyHash ? "the same" : <Hash key="wanted" value={workload.desiredPolicyHash} />],
                ["Audits dropped", workload.dropped === 0 ? null : workload.dropped.toLocaleString("en")],
              ]}
            />
          </Stack>
        </div>
      ))}
    </Part>
  );
}

function Firewall({ defender }: { defender: Defender }) {
  const { waas } = defender;
  if (!waas) return null;
  return (
    <Part title="Firewall">
      <Problem title="The Defender refused the WAAS policy" error={waas.error} />
      <Problem title="The Defender refused the rule set" error={waas.ruleset?.error ?? null} />
      <Facts
        items={[
          ["Ports", waas.ports.map((port) => `${port.exposed} → ${port.internal}`).join(", ")],
          ["Ports beside it", waas.openPorts.map((port) => `${port.port}${port.covered ? "" : " (open)"}`).join(", ")],
          ["Policy in force", <Hash key="hash" value={waas.policyHash} />],
          ["Policy wanted", waas.policyHash === waas.desiredPolicyHash ? "the same" : <Hash key="wanted" value={waas.desiredPolicyHash} />],
          ["Rule set", waas.ruleset?.version ?? null],
          ...counters(waas.counters),
        ]}
      />
    </Part>
  );
}

/** The plain numbers of a firewall's counters. */
function counters(found: Record<string, unknown>): [string, string][] {
  return Object.entries(found)
    .filter((entry): entry is [string, number] => typeof entry[1] === "number" && entry[1] > 0)
    .map(([name, count]) => [name.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`), count.toLocaleString("en")]);
}

function Hash({ value }: { value: string | null }) {
  return value === null ? <span>not told yet</span> : <code title={value}>{value.slice(0, 12)}</code>;
}

function Actions({ defender }: { defender: Defender }) {
  const may = useCan("defendersManage");
  const client = useQueryClient();
  const [asked, setAsked] = useState<"disconnect" | "revoke" | null>(null);
  const path = { params: { path: { defender: defender.id } } };
  const done = async (message: string) => {
    notifications.show({ message });
    await client.invalidateQueries({ queryKey: ["defenders"] });
  };
  if (!may || defender.state === "revoked") return null;
  return (
    <Group gap="xs">
      {defender.connected && <Button variant="default" onClick={() => setAsked("disconnect")}>Disconnect</Button>}
      <Button variant="default" onClick={() => setAsked("revoke")}>Shut out</Button>
      <Confirm
        opened={asked === "disconnect"}
        onClose={() => setAsked(null)}
        title="Disconnect this Defender?"
        action="Disconnect"
        onConfirm={async () => {
          await api.POST("/api/v1/defenders/{defender}/disconnect", path);
          await done("The session ended; the Defender connects again by itself.");
        }}
      >
        Its session ends, and it connects again by itself within seconds. The workload goes on under the policy that it has.
      </Confirm>
      <Confirm
        opened={asked === "revoke"}
        onClose={() => setAsked(null)}
        title="Shut this Defender out?"
        action="Shut out"
        danger
        onConfirm={async () => {
          await api.DELETE("/api/v1/defenders/{defender}", path);
          await done("The Defender is shut out.");
        }}
      >
        Its certificate is worth nothing any more, and it gets no new one. Its workload stays under the policy that it has and no longer reports. A new task with the same install bundle is another Defender: when the bundle was stolen, revoke that
        too.
      </Confirm>
    </Group>
  );
}
