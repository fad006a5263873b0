import { Facts } from "~/components/Facts";
import { Time } from "~/components/Time";
import type { Shapes } from "~/lib/api";
import { bytes } from "~/lib/bytes";

const KINDS: Record<string, string> = { sqlite: "SQLite", postgresql: "PostgreSQL" };

/** What the Console is and what it stands on. */
export function AboutConsole({ system }: { system: Shapes["SystemAnswer"] }) {
  return (
    <Facts
      items={[
        ["Version", system.version],
        ["Running since", <Time key="started" value={system.started} />],
        ["Database", `${KINDS[system.databaseKind] ?? system.databaseKind}, ${bytes(system.databaseBytes)}`],
        ["Where it is", <code key="database">{system.database}</code>],
        ["Schema", system.schema],
        ["Python", system.python],
        ["Defenders", `${system.defendersConnected} connected of ${system.defendersKnown} known`],
      ]}
    />
  );
}
