import { Center, Loader, Stack } from "@mantine/core";
import { lazy, Suspense, useMemo } from "react";
import { Route, Routes, useLocation } from "react-router";

import { Empty } from "~/components/Empty";
import { ErrorBoundary } from "~/components/ErrorBoundary";
import { Frame } from "~/components/Frame";
import { Page } from "~/components/Page";
import { Problem } from "~/components/Problem";
import { SetUp } from "~/forms/SetUp";
import { SignIn } from "~/forms/SignIn";
import { useInitialized, useSignedIn, type Session } from "~/lib/session";
import { NotFound } from "~/forms/NotFound";
import { PAGES } from "~/routes";

/** The way in: set-up while there is no administrator, sign-in while there is no session, else the pages. */
export function App() {
  const signedIn = useSignedIn();
  const initialized = useInitialized(signedIn.data?.session === null);
  if (signedIn.error) {
    return <Alone><Problem title="The Console cannot be reached" error={signedIn.error} retry={() => void signedIn.refetch()} /></Alone>;
  }
  if (!signedIn.data) return <Waiting />;
  if (signedIn.data.session) return <Pages session={signedIn.data.session} />;
  if (initialized.isLoading) return <Waiting />;
  return initialized.data === false ? <SetUp /> : <SignIn ended={signedIn.data.ended} />;
}

const LOADED = PAGES.map((entry) => ({ ...entry, Component: lazy(entry.load) }));

function Pages({ session }: { session: Session }) {
  const { pathname } = useLocation();
  const allowed = useMemo(() => new Set(session.permissions), [session]);
  const visible = useMemo(() => PAGES.filter((entry) => allowed.has(entry.permission)), [allowed]);
  return (
    <Frame session={session} pages={visible}>
      <ErrorBoundary key={pathname}>
        <Suspense fallback={<Waiting />}>
          <Routes>
            {LOADED.map(({ path, title, permission, Component }) => (
              <Route key={path} path={path} element={allowed.has(permission) ? <Component /> : <Forbidden title={title} role={session.role} />} />
            ))}
            <Route path="*" element={<NotFound home={visible[0]?.path ?? "/"} />} />
          </Routes>
        </Suspense>
      </ErrorBoundary>
    </Frame>
  );
}

function Forbidden({ title, role }: { title: string; role: string }) {
  return (
    <Page title={title}>
      <Empty title="Your role does not show this page">
        You are signed in with the role {role}. Ask an administrator for one that may see {title}.
      </Empty>
    </Page>
  );
}

function Waiting() {
  return <Center mih="50vh"><Loader aria-label="Loading" /></Center>;
}

function Alone({ children }: { children: React.ReactNode }) {
  return <Center mih="100vh" p="md" component="main"><Stack w="100%" maw={420}>{children}</Stack></Center>;
}
