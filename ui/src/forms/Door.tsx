import { Center, Stack, Text, Title } from "@mantine/core";
import { useEffect, type ReactNode } from "react";

/** The frame of the pages before one is signed in. */
export function Door({ title, text, children }: { title: string; text: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Bartizan`;
  }, [title]);
  return (
    <Center component="main" mih="100vh" p="md">
      <Stack w="100%" maw={400} gap="md">
        <Stack gap={6} align="center" ta="center">
          <img src="/favicon.svg" width={44} height={44} alt="" />
          <Title order={1}>{title}</Title>
          <Text component="div" c="dimmed" size="sm">{text}</Text>
        </Stack>
        <div className="card" style={{ padding: 20 }}>{children}</div>
      </Stack>
    </Center>
  );
}
