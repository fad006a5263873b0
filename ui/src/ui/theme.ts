import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core";

const bartizan: MantineColorsTuple = [
  "#eff4fb", "#dce7f6", "#b5cbeb", "#8cafe0", "#6a97d6", "#5286d0", "#3d70bd", "#325fa8", "#294f8e", "#1d3d73",
];

// The library's greys, made to fit our grounds.
const dark: MantineColorsTuple = ["#d3d8df", "#b4bbc5", "#8f98a5", "#697280", "#414956", "#30363f", "#22272f", "#1b1f26", "#14171c", "#0e1115"];

/** A dialogue's header is no banner of the page. */
const quietHeader = { header: { role: "presentation" } };

export const theme = createTheme({
  colors: { bartizan, dark },
  primaryColor: "bartizan",
  primaryShade: { light: 7, dark: 6 },
  fontFamily: "'Inter Variable', system-ui, sans-serif",
  fontFamilyMonospace: "'JetBrains Mono Variable', ui-monospace, monospace",
  headings: { fontWeight: "620", sizes: { h1: { fontSize: "1.375rem", lineHeight: "1.3" }, h2: { fontSize: "1.0625rem" }, h3: { fontSize: "0.9375rem" } } },
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.125rem" },
  defaultRadius: "sm",
  cursorType: "pointer",
  components: {
    Button: { defaultProps: { size: "sm" } },
    TextInput: { defaultProps: { size: "sm" } },
    Select: { defaultProps: { size: "sm", checkIconPosition: "right" } },
    Modal: { defaultProps: { attributes: quietHeader, closeButtonProps: { "aria-label": "Close" }, centered: true, overlayProps: { backgroundOpacity: 0.45 } } },
    Notification: { defaultProps: { closeButtonProps: { "aria-label": "Dismiss" } } },
    Tooltip: { defaultProps: { withArrow: true, openDelay: 300 } },
    Drawer: { defaultProps: { attributes: quietHeader, closeButtonProps: { "aria-label": "Close" }, position: "right", size: "lg", overlayProps: { backgroundOpacity: 0.35 } } },
  },
});

/** The library's grey for secondary text is too pale for WCAG 2.2 AA, and effects have colours of their own. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": "#55606e",
    "--mantine-color-placeholder": "#697482",
    "--mantine-color-error": "#b3261e",
    "--bz-ground": "#f6f7f9",
    "--bz-surface": "#ffffff",
    "--bz-line": "#dfe3e8",
    "--bz-hover": "#eef3fa",
    "--bz-critical": "#8f1d3f", "--bz-critical-ground": "#fbe6ec",
    "--bz-bad": "#a3221b", "--bz-bad-ground": "#fdeae8",
    "--bz-warn": "#7d4a00", "--bz-warn-ground": "#fdf1da",
    "--bz-good": "#1b6437", "--bz-good-ground": "#e3f4e9",
    "--bz-info": "#294f8e", "--bz-info-ground": "#e8f0fb",
    "--bz-mute": "#4b5563", "--bz-mute-ground": "#eceff2",
    "--bz-chart-prevent": "#c0392b", "--bz-chart-alert": "#d9921a", "--bz-chart-ban": "#8f1d3f", "--bz-chart-other": "#7f8b99",
  },
  dark: {
    "--mantine-color-dimmed": "#a9b1bc",
    "--mantine-color-placeholder": "#98a1ad",
    "--mantine-color-body": "#14171c",
    "--mantine-color-error": "#ff8a80",
    "--bz-ground": "#14171c",
    "--bz-surface": "#1b1f26",
    "--bz-line": "#30363f",
    "--bz-hover": "#242b36",
    "--bz-critical": "#ff9db8", "--bz-critical-ground": "#4a1a2a",
    "--bz-bad": "#ff9a92", "--bz-bad-ground": "#47201d",
    "--bz-warn": "#f4bf66", "--bz-warn-ground": "#40300f",
    "--bz-good": "#7ed6a0", "--bz-good-ground": "#163524",
    "--bz-info": "#9cc0f5", "--bz-info-ground": "#1d2f4b",
    "--bz-mute": "#bcc4ce", "--bz-mute-ground": "#2b313a",
    "--bz-chart-prevent": "#e5695e", "--bz-chart-alert": "#e3a53c", "--bz-chart-ban": "#d3708f", "--bz-chart-other": "#8a95a3",
  },
});
