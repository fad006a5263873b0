import { Component, type ReactNode } from "react";

import { Page } from "./Page";
import { Problem } from "./Problem";

/** Keeps the frame up when a page fails, and says what happened. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state = { error: null as unknown };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return (
      <Page title="This page failed">
        <Problem title="The page could not be shown" error={this.state.error} retry={() => this.setState({ error: null })} />
      </Page>
    );
  }
}
