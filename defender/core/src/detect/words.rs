//! The words that a program is told.

/// The words of all arguments. What a shell or an interpreter is told is one argument and many words.
pub(super) fn words(arguments: &[String]) -> impl Iterator<Item = &str> {
    arguments.iter().flat_map(|argument| words_of(argument))
}

/// A text taken apart at blanks, quotes and what ends a command.
pub(super) fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(ends_word).filter(|word| !word.is_empty())
}

fn ends_word(letter: char) -> bool {
    letter.is_ascii_whitespace() || matches!(letter, '"' | '\'' | '`' | ';' | '|' | '&' | '(' | ')' | '<' | '>' | ',')
}

/// Host and port of a word such as `pool.example:3333` or `tcp://user@pool.example:3333/`.
pub(super) fn host_and_port(word: &str) -> Option<(&str, &str)> {
    if !word.contains(':') {
        return None;
    }
    let rest = word.split_once("://").map_or(word, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let (host, port) = rest.split_once(':')?;
    let port = port.split('/').next().unwrap_or(port);
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    (digits && host.contains('.')).then_some((host, port))
}
