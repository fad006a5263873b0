import { Button } from "@mantine/core";
import { IconMapOff } from "@tabler/icons-react";
import { Link, useLocation } from "react-router";

import { Empty } from "~/components/Empty";
import { Page } from "~/components/Page";

/** There is no page at this address. */
export function NotFound({ home }: { home: string }) {
  const { pathname } = useLocation();
  return (
    <Page title="No such page">
      <Empty title="There is no page at this address" icon={<IconMapOff size={24} />} actions={<Button component={Link} to={home}>Go to the start</Button>}>
        <code className="break">{pathname.slice(0, 200)}</code> is not one of the Console's pages. Press Control K to find the one you want.
      </Empty>
    </Page>
  );
}
