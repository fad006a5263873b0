import { Center, Loader, Stack } from "@mantine/core";
import { lazy, Suspense, useMemo } from "react";
import { Navigate, Route, Routes, useLocation } from "react-router";

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
  const limited = session.collections.length > 0;
  const visible = useMemo(() => PAGES.filter((entry) => allowed.has(entry.permission) && (entry.scoped || !limited)), [allowed, limited]);
  const shown = useMemo(() => new Set(visible.map((entry) => entry.path)), [visible]);
  const home = visible[0]?.path ?? "/";
  // Who may not see the Overview starts at the first page that they may see.
  const forbidden = (path: string, title: string) =>
    path === "/" && home !== "/" ? <Navigate to={home} replace /> : <Forbidden title={title} session={session} />;
  return (
    <Frame session={session} pages={visible}>
      <ErrorBoundary key={pathname}>
        <Suspense fallback={<Waiting />}>
          <Routes>
            {LOADED.map(({ path, title, Component }) => (
              <Route key={path} path={path} element={shown.has(path) ? <Component /> : forbidden(path, title)} />
            ))}
            <Route path="*" element={<NotFound home={home} />} />
          </Routes>
        </Suspense>
      </ErrorBoundary>
    </Frame>
  );
}

function Forbidden({ title, session }: { title: string; session: Session }) {
  const { role, permissions, collections } = session;
  const entry = PAGES.find((page) => page.title === title);
  if (entry && permissions.includes(entry.permission)) {
    return (
      <Page title={title}>
        <Empty title="This page is of all workloads">
          You are limited to {collections.join(", ")}. Ask an administrator for a role without limits if you need {title}.
        </Empty>
      </Page>
    );
  }
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
