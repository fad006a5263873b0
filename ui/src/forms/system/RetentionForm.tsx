import { Button, Fieldset, Group, NumberInput, Select, SimpleGrid, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { Problem } from "~/components/Problem";
import { api, got, type Shapes } from "~/lib/api";

type Retention = Shapes["RetentionShape"];
type Bounds = Shapes["RetentionBounds"];

const KEY = ["settings", "retention"];
const HOURS = [{ value: "", label: "At any hour" }, ...Array.from({ length: 24 }, (_, hour) => ({ value: String(hour), label: `${String(hour).padStart(2, "0")}:00–${String(hour).padStart(2, "0")}:59 UTC` }))];

/** For how long both kinds of audits are kept. */
export function RetentionForm({ mayWrite }: { mayWrite: boolean }) {
  const present = useQuery({ queryKey: KEY, queryFn: () => got(api.GET("/api/v1/settings/retention")) });
  return (
    <>
      <Problem error={present.error} retry={() => void present.refetch()} />
      {present.data && <Form key={present.dataUpdatedAt} present={present.data} mayWrite={mayWrite} />}
    </>
  );
}

function Form({ present, mayWrite }: { present: Retention; mayWrite: boolean }) {
  const client = useQueryClient();
  const [wanted, setWanted] = useState(present);
  const put = useMutation({
    mutationFn: (body: Retention) => api.PUT("/api/v1/settings/retention", { body }),
    onSuccess: () => {
      notifications.show({ message: "In force from the next clean-up on." });
      return client.invalidateQueries({ queryKey: KEY });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    put.mutate(wanted);
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <SimpleGrid cols={{ base: 1, sm: 2 }}>
          <Kind title="Runtime audits" bounds={wanted.runtime} disabled={!mayWrite} onChange={(runtime) => setWanted({ ...wanted, runtime })} />
          <Kind title="WAAS events" bounds={wanted.firewall} disabled={!mayWrite} onChange={(firewall) => setWanted({ ...wanted, firewall })} />
        </SimpleGrid>
        <Select
          label="Clean-up hour"
          description="When audits that are too old go. Number and size protect the disk, and hold always."
          maw={320}
          data={HOURS}
          allowDeselect={false}
          disabled={!mayWrite}
          value={wanted.cleanUpHour === null || wanted.cleanUpHour === undefined ? "" : String(wanted.cleanUpHour)}
          onChange={(hour) => setWanted({ ...wanted, cleanUpHour: hour ? Number(hour) : null })}
        />
        <Problem title="The retention is unchanged" error={put.error} />
        {mayWrite ? (
          <Group><Button type="submit" loading={put.isPending}>Save</Button></Group>
        ) : (
          <Text size="sm" c="dimmed">Your role may look at this, but not change it.</Text>
        )}
      </Stack>
    </form>
  );
}

function Kind({ title, bounds, disabled, onChange }: { title: string; bounds: Bounds; disabled: boolean; onChange: (bounds: Bounds) => void }) {
  const field = (name: keyof Bounds) => ({
    value: bounds[name] ?? 0,
    disabled,
    allowDecimal: false,
    allowNegative: false,
    thousandSeparator: ",",
    onChange: (value: number | string) => onChange({ ...bounds, [name]: Number(value) }),
  });
  return (
    <Fieldset legend={title}>
      <Stack gap="sm">
        <NumberInput label="Days" min={1} max={3650} {...field("days")} />
        <NumberInput label="Number" min={1} max={1_000_000_000} {...field("audits")} />
        <NumberInput label="Size in MiB" description="About what they take in the database; 0 is no bound." min={0} max={10_485_760} {...field("mebibytes")} />
      </Stack>
    </Fieldset>
  );
}
