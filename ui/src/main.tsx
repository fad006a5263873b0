import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "~/ui/global.css";

import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { setNonce } from "get-nonce";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";

import { App } from "~/app";
import { ApiError } from "~/lib/api";
import { styleNonce } from "~/lib/nonce";
import { sessionEnded } from "~/lib/session";
import { theme, variables } from "~/ui/theme";

function noticeEnd(error: unknown): void {
  if (error instanceof ApiError && error.status === 401) sessionEnded(client);
}

const client: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: noticeEnd }),
  mutationCache: new MutationCache({ onError: noticeEnd }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: true,
      // What the Console refuses it refuses again; only a lost connection is worth a second attempt.
      retry: (count, error) => count < 2 && (!(error instanceof ApiError) || error.status === 0 || error.status === 503),
    },
  },
});

// For the styles by which dialogues keep the page behind them from scrolling.
setNonce(styleNonce());

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} cssVariablesResolver={variables} defaultColorScheme="auto" getStyleNonce={styleNonce}>
        <QueryClientProvider client={client}>
          <Notifications position="bottom-right" autoClose={5000} />
          <BrowserRouter>
            <App />
          </BrowserRouter>
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
