import { Alert, Button, List } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";

import { ApiError } from "~/lib/api";

/** An error with its reasons, and a way to try again where there is one. */
export function Problem({ error, title = "This did not work", retry }: { error: unknown; title?: string; retry?: () => void }) {
  if (error === null || error === undefined) return null;
  const said = error instanceof Error ? error.message : String(error);
  const problems = error instanceof ApiError ? error.problems : [];
  return (
    <Alert role="alert" variant="default" icon={<IconAlertTriangle color="var(--mantine-color-error)" />} title={title} styles={{ root: { borderColor: "var(--mantine-color-error)" }, body: { minWidth: 0 } }}>
      {problems.length === 0 ? (
        <span className="break">{said.slice(0, 1).toUpperCase() + said.slice(1)}.</span>
      ) : (
        <List size="sm" className="break">
          {problems.map((problem, index) => (
            <List.Item key={index}>{problem}</List.Item>
          ))}
        </List>
      )}
      {retry && (
        <div>
          <Button mt="xs" size="xs" variant="default" onClick={retry}>Try again</Button>
        </div>
      )}
    </Alert>
  );
}
