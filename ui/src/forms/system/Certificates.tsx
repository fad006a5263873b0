import { Alert, Anchor, Button, Group, Stack, Text } from "@mantine/core";
import { Link } from "react-router";

import { Facts } from "~/components/Facts";
import { Time } from "~/components/Time";
import type { Shapes } from "~/lib/api";

const NAMES: Record<string, string> = { authority: "Private authority", server: "Server certificate" };

/** What proves the Console's name to Defenders and browsers, and until when. */
export function Certificates({ system }: { system: Shapes["SystemAnswer"] }) {
  return (
    <Stack gap="md">
      <Facts
        items={system.certificates.map((item) => [
          NAMES[item.name] ?? item.name,
          <Group key={item.name} gap="xs">
            <span>ends on {item.expiration.slice(0, 10)}</span>
            <Text span size="sm" c="dimmed">(<Time value={item.expiration} relative />)</Text>
          </Group>,
        ])}
      />
      <Group gap="xs">
        <Button component="a" href="/api/v1/certs/ca.pem" download="bartizan-ca.pem" variant="default">Download the authority’s certificate</Button>
        <Anchor component={Link} to="/manage/names" size="sm">Names in the server certificate</Anchor>
      </Group>
      <Alert variant="default" title="What renews itself">
        The server certificate is issued anew 30 days before its end, and whenever a name changes; connections that are open stay open. Certificates of Defenders live for hours and renew themselves. The authority lives for ten years: install bundles carry its SHA-256, so protected definitions trust this one alone.
      </Alert>
    </Stack>
  );
}
