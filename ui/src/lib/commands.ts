/** What the command that protects a definition is told. */
export interface Protecting {
  /** The Console's API, as this browser reaches it. */
  origin: string;
  /** The Console's name for Defenders. */
  host: string;
  file: string;
  options?: readonly string[];
}

/** The command line that protects a task definition or template. */
export function protectCommand({ origin, host, file, options = [] }: Protecting): string {
  return [
    "bartizan app-embedded generate-fargate-task",
    `--address ${quoted(origin)} --ca-file ca.pem --user "$USER"`,
    `--console-host ${quoted(host)}`,
    ...options,
    `--output-file protected-${quoted(file)} ${quoted(file)}`,
  ].join(" \\\n    ");
}

/** Quote a word for a POSIX shell where it needs it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
