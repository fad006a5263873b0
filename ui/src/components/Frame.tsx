import { ActionIcon, AppShell, Burger, Menu, SegmentedControl, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import {
  IconActivity, IconAlertOctagon, IconApi, IconBell, IconBox, IconBrain, IconCertificate, IconCircle, IconCloudUpload, IconCode, IconHome, IconKey, IconLock, IconLogout, IconMoon,
  IconSearch, IconServer, IconSettings, IconShield, IconSun, IconUser, IconUsers, IconWorldWww,
} from "@tabler/icons-react";
import { useEffect, useRef, type ComponentType, type ReactNode } from "react";
import { Link, NavLink, useLocation } from "react-router";

import { useZone, type Zone } from "~/lib/preferences";
import { can, useSignOut, type Session } from "~/lib/session";

import { CommandPalette, type Place } from "./CommandPalette";
import style from "./frame.module.css";

const ICONS: Record<string, ComponentType<{ size?: number; stroke?: number }>> = {
  "/": IconHome,
  "/monitor/events": IconActivity,
  "/monitor/incidents": IconAlertOctagon,
  "/monitor/observations": IconBrain,
  "/defend/runtime": IconShield,
  "/defend/waas": IconWorldWww,
  "/defend/custom-rules": IconCode,
  "/defend/collections": IconBox,
  "/manage/defenders": IconServer,
  "/manage/deploy": IconCloudUpload,
  "/manage/names": IconCertificate,
  "/manage/access": IconUsers,
  "/manage/alerts": IconBell,
  "/manage/credentials": IconKey,
  "/manage/system": IconSettings,
  "/manage/api": IconApi,
};

/** What stands around every page: navigation, search, the account's menu; the page itself is `main`. */
export function Frame({ session, pages, children }: { session: Session; pages: readonly Place[]; children: ReactNode }) {
  const [navigation, { toggle, close }] = useDisclosure(false);
  const [palette, { open: openPalette, close: closePalette }] = useDisclosure(false);
  const { pathname } = useLocation();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useHotkeys([["mod+K", openPalette]], []);
  useEffect(() => {
    close();
    // A page that was gone to is read from its beginning; the first one as any document.
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
    window.scrollTo(0, 0);
  }, [pathname, close]);
  return (
    <AppShell header={{ height: 52 }} navbar={{ width: 228, breakpoint: "sm", collapsed: { mobile: !navigation } }} padding={{ base: "sm", sm: "lg" }}>
      <a className="skip" href="#main" onClick={() => main.current?.focus()}>Skip to the page</a>
      <AppShell.Header className={style.header}>
        <Burger opened={navigation} onClick={toggle} hiddenFrom="sm" size="sm" aria-label={navigation ? "Close the navigation" : "Open the navigation"} />
        <Link to="/" className={style.brand}>
          <img src="/favicon.svg" width={24} height={24} alt="" />
          Bartizan
        </Link>
        <div style={{ flex: 1 }} />
        <button type="button" className={style.search} onClick={openPalette} aria-keyshortcuts="Control+K">
          <IconSearch size={15} aria-hidden />
          <span>Go to…</span>
          <kbd>Ctrl K</kbd>
        </button>
        <Account session={session} />
      </AppShell.Header>
      <AppShell.Navbar className={style.navbar} aria-label="Pages">
        <Navigation pages={pages} />
      </AppShell.Navbar>
      <AppShell.Main ref={main} id="main" tabIndex={-1} className={style.main} style={{ outline: "none" }}>
        {children}
      </AppShell.Main>
      <CommandPalette opened={palette} onClose={closePalette} pages={pages} />
    </AppShell>
  );
}

function Navigation({ pages }: { pages: readonly Place[] }) {
  const sections = [...new Set(pages.map((page) => page.section))];
  return sections.map((section) => (
    <div key={section}>
      {section !== "" && <p className={style.section} id={`nav-${section}`}>{section}</p>}
      <ul className={style.list} aria-labelledby={section === "" ? undefined : `nav-${section}`}>
        {pages.filter((page) => page.section === section).map((page) => {
          const Icon = ICONS[page.path] ?? IconCircle;
          return (
            <li key={page.path}>
              <NavLink to={page.path} end={page.path === "/"} className={style.link}>
                <Icon size={17} stroke={1.7} />
                {page.title}
              </NavLink>
            </li>
          );
        })}
      </ul>
    </div>
  ));
}

function Account({ session }: { session: Session }) {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const [zone, setZone] = useZone();
  const signOut = useSignOut();
  const other = scheme === "dark" ? "light" : "dark";
  return (
    <>
      <Tooltip label={`Use ${other} colours`}>
        <ActionIcon variant="subtle" color="gray" size="lg" onClick={() => setColorScheme(other)} aria-label={`Use ${other} colours`}>
          {scheme === "dark" ? <IconSun size={18} /> : <IconMoon size={18} />}
        </ActionIcon>
      </Tooltip>
      <Menu position="bottom-end" width={240} shadow="md">
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`Account of ${session.username}`}>
            <IconUser size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>
            <b className="break" style={{ color: "var(--mantine-color-text)" }}>{session.username}</b>
            <br />
            {session.role}
          </Menu.Label>
          <Menu.Divider />
          <Menu.Label component="div" id="zone-label">Show times in</Menu.Label>
          <SegmentedControl
            fullWidth
            size="xs"
            mx="xs"
            mb="xs"
            aria-labelledby="zone-label"
            value={zone}
            onChange={(value) => setZone(value as Zone)}
            data={[{ value: "local", label: "This browser's zone" }, { value: "utc", label: "UTC" }]}
          />
          <Menu.Divider />
          {can(session, "accessRead") && <Menu.Item component={Link} to="/manage/access" leftSection={<IconLock size={15} />}>Access</Menu.Item>}
          <Menu.Item leftSection={<IconLogout size={15} />} onClick={() => signOut.mutate()}>Sign out</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  );
}
