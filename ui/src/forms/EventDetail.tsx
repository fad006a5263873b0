import { Anchor, Button, CopyButton, Drawer, Group, Loader, Stack, Text, Title } from "@mantine/core";
import { IconCheck, IconCopy, IconShieldCheck } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { Link } from "react-router";

import { Effect } from "~/components/Effect";
import style from "~/components/events.module.css";
import { Problem } from "~/components/Problem";
import { Severity } from "~/components/Severity";
import { Time } from "~/components/Time";
import { api, got } from "~/lib/api";
import { facts, words, type EventDetail as Detail } from "~/lib/events";
import { useCan } from "~/lib/session";
import { Tag } from "~/ui/Tag";

import { AllowEvent } from "./AllowEvent";

/** One event beside the list: what happened, why it was judged so, and what to do about it. */
export function EventDetail({ id, onClose, onFilter }: { id: string | null; onClose: () => void; onFilter: (changes: Record<string, string>) => void }) {
  const event = useQuery({
    queryKey: ["events", id, "detail"],
    queryFn: () => got(api.GET("/api/v1/events/{event}", { params: { path: { event: id ?? "" } } })),
    enabled: id !== null,
    retry: false,
  });
  return (
    <Drawer opened={id !== null} onClose={onClose} title="Event" size="lg" closeButtonProps={{ "aria-label": "Close" }}>
      <Problem title="The event cannot be shown" error={event.error} />
      {event.isPending && id !== null && <Group justify="center" p="lg"><Loader aria-label="Fetching the event" /></Group>}
      {event.data && <Shown event={event.data} onFilter={onFilter} />}
    </Drawer>
  );
}

function Shown({ event, onFilter }: { event: Detail; onFilter: (changes: Record<string, string>) => void }) {
  const [allowing, setAllowing] = useState(false);
  const mayAllow = useCan("policyWrite");
  const common = facts(event);
  const audit = event.runtime ?? event.waas;
  const json = JSON.stringify(audit, null, 2);
  const allowable = common.rule !== "" && common.effect !== "allow";
  return (
    <Stack gap="md">
      <div>
        <Title order={2} size="h2">{common.title}</Title>
        <Group gap={6} mt={6}>
          <Effect effect={common.effect} />
          {common.severity && <Severity severity={common.severity} />}
          <Tag tone="mute" dot={false}>{event.kind === "waas" ? "WAAS" : "runtime"}</Tag>
          <Text size="sm" c="dimmed"><Time value={common.time} />{common.count > 1 && ` · ${common.count} times`}</Text>
        </Group>
        <Text size="sm" mt={8} className="break">{common.message}</Text>
      </div>
      <Group gap="xs">
        {allowable && mayAllow && (
          <Button leftSection={<IconShieldCheck size={16} />} onClick={() => setAllowing(true)}>{event.kind === "waas" ? "Add as exception" : "Allow this"}</Button>
        )}
        <Button variant="default" onClick={() => onFilter(event.kind === "waas" ? { kind: "waas", type: event.waas?.type ?? "", appID: common.app } : { reason: event.runtime?.reason ?? "", appID: common.app })}>
          Show similar
        </Button>
        {event.incidentID && <Button component={Link} to={`/monitor/incidents?incident=${event.incidentID}`} variant="default">Open the incident</Button>}
      </Group>
      <Part title="Why"><Why event={event} /></Part>
      {event.runtime ? <Runtime audit={event.runtime} /> : event.waas && <Request audit={event.waas} />}
      <Part title="Where">
        <Facts
          items={[
            ["App ID", common.app],
            ["Container", common.container],
            ["Image", common.image],
            ["Task", event.runtime?.resourceID],
            ["Defender", event.defender ? <Reporter key="d" event={event} /> : audit?.defenderID && <span key="d"><code>{audit.defenderID}</code> (not known any more)</span>],
          ]}
        />
      </Part>
      <Part
        title="Raw"
        action={
          <CopyButton value={json}>
            {({ copied, copy }) => (
              <Button size="compact-xs" variant="subtle" leftSection={copied ? <IconCheck size={13} /> : <IconCopy size={13} />} onClick={copy}>{copied ? "Copied" : "Copy JSON"}</Button>
            )}
          </CopyButton>
        }
      >
        <pre className={style.code} tabIndex={0} aria-label="The event as JSON">{json}</pre>
      </Part>
      <AllowEvent event={event.id} kind={event.kind} opened={allowing} onClose={() => setAllowing(false)} />
    </Stack>
  );
}

function Why({ event }: { event: Detail }) {
  const { runtime, waas, rule } = event;
  const techniques = facts(event).techniques.join(", ");
  const page = event.kind === "waas" ? "/defend/waas?open=" : "/defend/runtime?rule=";
  const shown = rule && (
    <span>
      <Anchor component={Link} to={`${page}${encodeURIComponent(rule.name)}`} size="sm">{rule.name}</Anchor>
      {!rule.present && " (not in the policy any more)"}
      {rule.present && rule.disabled && " (disabled by now)"}
    </span>
  );
  return (
    <Facts
      items={[
        ["Rule", shown || "none: the Defender tells this of itself"],
        ["Reason", runtime ? words(runtime.reason || runtime.attackType) : waas && `${words(waas.type)} (${words(waas.protection)})`],
        ["Matched", runtime?.matched && <code key="m">{runtime.matched}</code>],
        ["Place", waas?.attackField && <span key="p">{words(waas.attackField.type)} <code>{waas.attackField.key}</code> = <code>{waas.attackField.value}</code></span>],
        ["Techniques", techniques],
        ["Incident", runtime?.incidentCategory && words(runtime.incidentCategory)],
        ["OWASP", waas?.owaspTop10 && words(waas.owaspTop10)],
        ["Rules", waas?.rules && waas.rules.length > 0 && waas.rules.join(", ")],
      ]}
    />
  );
}

function Runtime({ audit }: { audit: NonNullable<Detail["runtime"]> }) {
  const chain = [...(audit.ancestry ?? [])].reverse();
  return (
    <>
      {audit.command && <Part title="Command"><pre className={style.code} tabIndex={0} aria-label="The command">{audit.command}</pre></Part>}
      {(chain.length > 0 || audit.processPath) && (
        <Part title="How it came about">
          <ol className={style.chain}>
            {chain.map((path, index) => <li key={index}><code>{path}</code></li>)}
            {audit.processPath && <li><code>{audit.processPath}</code></li>}
          </ol>
        </Part>
      )}
      <Part title="What">
        <Facts
          items={[
            ["File", audit.filepath && <code key="f">{audit.filepath}</code>],
            ["Name", audit.domain && <code key="d">{audit.domain}</code>],
            ["Address", audit.ip && <code key="a">{audit.ip}{audit.port ? ` port ${audit.port}` : ""}{audit.protocol ? `/${audit.protocol}` : ""}</code>],
            ["User", audit.user],
            ["Process id", audit.pid ? String(audit.pid) : ""],
            ["SHA-256", audit.sha256 && <code key="s">{audit.sha256}</code>],
          ]}
        />
      </Part>
    </>
  );
}

function Request({ audit }: { audit: NonNullable<Detail["waas"]> }) {
  return (
    <>
      <Part title="Request">
        <Facts
          items={[
            ["Request", <code key="r">{audit.method} {audit.url}</code>],
            ["Client", [audit.subnet, audit.country].filter(Boolean).join(" · ")],
            ["Came through", (audit.connectingIPs ?? []).join(", ")],
            ["User agent", audit.userAgentHeader],
            ["Answered", audit.statusCode ? String(audit.statusCode) : ""],
            ["Event ID", audit.eventID && <code key="e">{audit.eventID}</code>],
          ]}
        />
      </Part>
      {audit.requestHeaders && <Part title="Head of the request"><pre className={style.code} tabIndex={0} aria-label="The head of the request">{audit.requestHeaders}</pre></Part>}
    </>
  );
}

function Reporter({ event }: { event: Detail }) {
  const { defender } = event;
  if (!defender) return null;
  return (
    <span>
      <Anchor component={Link} to={`/manage/defenders?defender=${defender._id}`} size="sm">{defender.host || defender._id.slice(0, 12)}</Anchor>{" "}
      {defender.connected ? <Tag tone="good">connected</Tag> : <Tag tone="mute">gone</Tag>}
    </span>
  );
}

function Part({ title, action, children }: { title: string; action?: ReactNode; children: ReactNode }) {
  return (
    <section>
      <Group justify="space-between" mb={6}>
        <Title order={3} size="h3">{title}</Title>
        {action}
      </Group>
      {children}
    </section>
  );
}

function Facts({ items }: { items: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className={style.list}>
      {items.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false).map(([name, value]) => (
        <div key={name} style={{ display: "contents" }}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
