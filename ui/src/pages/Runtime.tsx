import { Button, Group, Menu, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconChevronDown, IconHistory, IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { Confirm } from "~/components/Confirm";
import { Empty } from "~/components/Empty";
import { FilterBar, useFilters } from "~/components/FilterBar";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { History } from "~/forms/runtime/History";
import { ImportRules } from "~/forms/runtime/Import";
import { ReviewDraft } from "~/forms/runtime/Review";
import { RuleEditor } from "~/forms/runtime/RuleEditor";
import { RuleList } from "~/forms/runtime/RuleList";
import { api, got, raw } from "~/lib/api";
import { save } from "~/lib/files";
import { alike, emptyRule, freeName, POLICY_KEY, POLICY_PATH, readPolicy, unchanged, type InForce, type Rule } from "~/lib/runtime-policy";
import { useCan } from "~/lib/session";

/** A change that is not saved: the policy that it was made from, and the rules as they are to be. */
interface Draft {
  base: InForce;
  rules: Rule[];
}

type Opened = { kind: "rule"; place: number } | { kind: "new"; rule: Rule; place: number } | { kind: "review" | "history" | "import" | "discard" } | null;

/** The ordered rules of the runtime policy: edited as a draft, tried against the past, and saved as one revision. */
export default function Runtime() {
  const mayWrite = useCan("policyWrite");
  const policy = useQuery({ queryKey: POLICY_KEY, queryFn: readPolicy });
  const uses = useQuery({ queryKey: [...POLICY_KEY, "hits"], queryFn: () => got(api.GET("/api/v1/policies/runtime/app-embedded/hits")), refetchInterval: 10_000 });
  const [draft, setDraft] = useState<Draft | null>(null);
  const [opened, setOpened] = useState<Opened>(null);
  const { get, set } = useFilters();
  const base = draft?.base ?? policy.data;
  const rules = draft?.rules ?? policy.data?.rules ?? [];
  useWarning(draft !== null);
  const change = (next: Rule[], from: InForce | undefined = base) => {
    if (from) setDraft(unchanged(from.rules, next) ? null : { base: from, rules: next });
  };
  const close = () => {
    setOpened(null);
    if (get("rule") !== "") set({ rule: null });
  };
  const asked = rules.findIndex((rule) => rule.name === get("rule"));
  const shown: Opened = opened ?? (asked >= 0 ? { kind: "rule", place: asked } : null);
  const add = (rule: Rule, place: number) => setOpened({ kind: "new", rule, place });
  return (
    <Page
      title="Runtime rules"
      description="The first rule that is not disabled and covers a workload applies to it; later ones are not looked at. Changes are a draft until you save them."
      actions={<Actions mayWrite={mayWrite} onNew={() => add(emptyRule(freeName("New rule", rules)), 0)} onOpen={(kind) => setOpened({ kind })} />}
    >
      <Problem error={policy.error} retry={() => void policy.refetch()} />
      {draft && base && <DraftBar base={base} rules={rules} stale={policy.data !== undefined && policy.data.etag !== base.etag} onReview={() => setOpened({ kind: "review" })} onDiscard={() => setOpened({ kind: "discard" })} />}
      {rules.length > 8 && <FilterBar placeholder="Name or collection" />}
      {policy.data && rules.length === 0 && (
        <Empty title="No rule yet: nothing is judged" actions={mayWrite && <Button onClick={() => add(starter(), 0)}>Begin with a rule that reports</Button>}>
          A rule says for which workloads it is, and what programs, names, addresses and files are forbidden there. Begin with one that only reports, look at its events, then let it prevent.
        </Empty>
      )}
      {base && rules.length > 0 && (
        <RuleList
          rules={rules}
          shows={(rule) => matches(rule, get("search"))}
          uses={new Map((uses.data ?? []).map((item) => [item.rule, item]))}
          edited={new Set(rules.filter((rule) => !alike(base.rules.find((item) => item.name === rule.name), rule)).map((rule) => rule.name))}
          readOnly={!mayWrite}
          onOpen={(place) => setOpened({ kind: "rule", place })}
          onChange={change}
          onClone={(place) => {
            const rule = rules[place];
            if (rule) add({ ...rule, name: freeName(`${rule.name} copy`, rules), owner: "", modified: "" }, place + 1);
          }}
        />
      )}
      {shown?.kind === "rule" && rules[shown.place] && (
        <RuleEditor key={shown.place} initial={rules[shown.place] as Rule} rules={rules} place={shown.place} isNew={false} readOnly={!mayWrite} onClose={close} onKeep={(rule) => { change(rules.map((item, index) => (index === shown.place ? rule : item))); close(); }} />
      )}
      {shown?.kind === "new" && (
        <RuleEditor initial={shown.rule} rules={rules} place={shown.place} isNew readOnly={false} onClose={close} onKeep={(rule) => { change([...rules.slice(0, shown.place), rule, ...rules.slice(shown.place)]); close(); }} />
      )}
      {shown?.kind === "review" && base && <ReviewDraft base={base} rules={rules} onClose={close} onSaved={() => { setDraft(null); close(); void uses.refetch(); }} onMerged={(newer, next) => { change(next, newer); close(); void policy.refetch(); }} />}
      {shown?.kind === "history" && policy.data && <History mayWrite={mayWrite} revision={policy.data.revision} onClose={close} onRestored={() => { setDraft(null); close(); }} />}
      {shown?.kind === "import" && <ImportRules rules={rules} onClose={close} onImport={(next) => { change(next); close(); }} />}
      <Confirm opened={shown?.kind === "discard"} onClose={close} title="Discard the draft" action="Discard" danger onConfirm={async () => setDraft(null)}>
        All changes that are not saved are lost.
      </Confirm>
    </Page>
  );
}

function matches(rule: Rule, search: string): boolean {
  return [rule.name, rule.notes, ...rule.collections.map((item) => item.name)].some((item) => item.toLowerCase().includes(search.toLowerCase()));
}

function Actions({ mayWrite, onNew, onOpen }: { mayWrite: boolean; onNew: () => void; onOpen: (kind: "history" | "import") => void }) {
  const exported = async (format: "yaml" | "json") => {
    try {
      const answer = await raw(`${POLICY_PATH}/export?file_format=${format}`);
      save(await answer.text(), `runtime-policy.${format}`, answer.headers.get("Content-Type") ?? "text/plain");
    } catch (error) {
      notifications.show({ color: "red", message: error instanceof Error ? error.message : String(error) });
    }
  };
  return (
    <>
      <Button variant="default" leftSection={<IconHistory size={16} />} onClick={() => onOpen("history")}>History</Button>
      <Menu position="bottom-end">
        <Menu.Target><Button variant="default" rightSection={<IconChevronDown size={14} />}>Files</Button></Menu.Target>
        <Menu.Dropdown>
          {mayWrite && <Menu.Item onClick={() => onOpen("import")}>Import JSON or YAML</Menu.Item>}
          <Menu.Item onClick={() => void exported("yaml")}>Export as YAML</Menu.Item>
          <Menu.Item onClick={() => void exported("json")}>Export as JSON</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {mayWrite && <Button leftSection={<IconPlus size={16} />} onClick={onNew}>New rule</Button>}
    </>
  );
}

function DraftBar({ base, rules, stale, onReview, onDiscard }: { base: InForce; rules: readonly Rule[]; stale: boolean; onReview: () => void; onDiscard: () => void }) {
  const edited = rules.filter((rule) => !alike(base.rules.find((item) => item.name === rule.name), rule)).length;
  const gone = base.rules.filter((rule) => !rules.some((item) => item.name === rule.name)).length;
  const what = [edited > 0 && `${edited} changed or new`, gone > 0 && `${gone} removed`, edited + gone === 0 && "another order"].filter(Boolean).join(", ");
  return (
    <Group className="card" justify="space-between" gap="sm" role="status" style={{ position: "sticky", top: 0, zIndex: 5, borderColor: "var(--mantine-primary-color-filled)" }} py={10}>
      <Text size="sm" component="span"><strong>Draft:</strong> {what}. Not in force yet.{stale && " Somebody changed the policy meanwhile."}</Text>
      <Group gap="xs">
        <Button variant="default" size="xs" onClick={onDiscard}>Discard</Button>
        <Button size="xs" onClick={onReview}>Review and save</Button>
      </Group>
    </Group>
  );
}

/** Warn before the page is left with changes that are not saved. */
function useWarning(active: boolean): void {
  useEffect(() => {
    if (!active) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [active]);
}

function starter(): Rule {
  return { ...emptyRule("everything, reported"), advancedProtection: true, notes: "Reports the usual signs of an attack everywhere; stops nothing." };
}
