import { ActionIcon, CopyButton, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";

import style from "./snippet.module.css";

/** A command or text to copy. */
export function Snippet({ text, label = "Copy" }: { text: string; label?: string }) {
  return (
    <div className={style.frame}>
      <pre className={style.text} tabIndex={0}>{text}</pre>
      <CopyButton value={text} timeout={1500}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? "Copied" : label}>
            <ActionIcon className={style.copy} variant="default" size="sm" onClick={copy} aria-label={copied ? "Copied" : label}>
              {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </div>
  );
}
