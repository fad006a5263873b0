import { Modal, Text, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useMemo, useState, type KeyboardEvent } from "react";
import { useNavigate } from "react-router";

import style from "./frame.module.css";

/** Where one can go. */
export interface Place {
  path: string;
  title: string;
  section: string;
  words: string;
}

/** Go to a page by typing a part of its name or of what it is about. */
export function CommandPalette({ opened, onClose, pages }: { opened: boolean; onClose: () => void; pages: readonly Place[] }) {
  return (
    <Modal opened={opened} onClose={onClose} title="Go to a page" withCloseButton={false} padding="sm" size="md" yOffset="12vh" centered={false}>
      {opened && <Search pages={pages} onClose={onClose} />}
    </Modal>
  );
}

function Search({ pages, onClose }: { pages: readonly Place[]; onClose: () => void }) {
  const [text, setText] = useState("");
  const [active, setActive] = useState(0);
  const navigate = useNavigate();
  const found = useMemo(() => find(pages, text), [pages, text]);
  const go = (page: Place | undefined) => {
    if (!page) return;
    onClose();
    void navigate(page.path);
  };
  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && found.length > 0) {
      event.preventDefault();
      setActive((active + step + found.length) % found.length);
    } else if (event.key === "Enter") {
      go(found[active]);
    }
  };
  return (
    <>
      <TextInput
        data-autofocus
        role="combobox"
        aria-label="Go to a page"
        aria-expanded
        aria-controls="palette-list"
        aria-activedescendant={found[active] ? `palette-${active}` : undefined}
        leftSection={<IconSearch size={16} />}
        placeholder="Page or topic"
        size="md"
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setActive(0);
        }}
        onKeyDown={onKey}
      />
      <div role="listbox" id="palette-list" aria-label="Pages" style={{ marginTop: 8 }}>
        {found.map((page, index) => (
          <div key={page.path} id={`palette-${index}`} role="option" aria-selected={index === active} className={style.option} onClick={() => go(page)} onMouseMove={() => setActive(index)}>
            {page.title}
            <small>{page.section}</small>
          </div>
        ))}
      </div>
      {found.length === 0 && <Text c="dimmed" size="sm" p="sm" role="status">No page is about this.</Text>}
    </>
  );
}

/** The pages that fit every word of a text, those whose title begins with it first. */
export function find(pages: readonly Place[], text: string): readonly Place[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const rank = (page: Place) => (page.title.toLowerCase().startsWith(words[0] ?? "") ? 0 : 1);
  return pages
    .filter((page) => words.every((word) => `${page.title} ${page.section} ${page.words}`.toLowerCase().includes(word)))
    .map((page, index) => ({ page, index }))
    .sort((one, other) => rank(one.page) - rank(other.page) || one.index - other.index)
    .map(({ page }) => page);
}
