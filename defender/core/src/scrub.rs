//! Takes secrets out of argument vectors before they are reported, and bounds them.
//!
//! What counts as a secret: the value behind a telling word (`--password=x`, `TOKEN: x`, `"secret": "x"`, `--token x`),
//! the password in a URL, credentials by their form (AWS access keys, `Bearer …`), and the attached passwords of the
//! clients of `mysql` (`-px`). A word too many is hidden rather than one too few.

const MASK: &str = "****";
/// Bytes of all arguments together in a report.
const MOST_REPORTED: usize = 4096;
/// Bytes that are looked at: an argument vector may have megabytes.
const MOST_READ: usize = 64 << 10;
/// What marks a cut.
const ELLIPSIS: &str = "…";
const TELLING: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "access-key",
    "privatekey",
    "private_key",
    "credential",
    "authorization",
];
/// Programs with `-pPASSWORD` (the manual of `mysql`, "Command-Line Options for Connecting to the Server").
const ATTACHED_PASSWORD: [&str; 8] =
    ["mysql", "mysqladmin", "mysqldump", "mysqlimport", "mysqlcheck", "mysqlshow", "mariadb", "sshpass"];

/// Returns the arguments as they may be reported: without secrets, at most 4 KiB in all.
#[must_use]
pub fn scrub(arguments: &[String]) -> Vec<String> {
    let program = arguments.first().map_or("", |first| first.rsplit('/').next().unwrap_or(first));
    let attached = ATTACHED_PASSWORD.contains(&program) || program.starts_with("mariadb-");
    let mut hide_next = false;
    let mut read = 0;
    let mut scrubbed = Vec::new();
    for argument in arguments {
        if read >= MOST_READ || scrubbed.len() >= MOST_REPORTED {
            scrubbed.push(ELLIPSIS.to_owned());
            break;
        }
        let text = cut(argument, MOST_READ - read);
        read += text.len() + 1;
        scrubbed.push(match () {
            () if hide_next && !text.starts_with("--") => MASK.to_owned(),
            () if attached && text.starts_with("-p") && text.len() > 2 => format!("-p{MASK}"),
            () => scrub_text(text),
        });
        hide_next = wants_secret(text) || (program == "sshpass" && text == "-p");
    }
    bounded(scrubbed)
}

/// A flag of a telling name whose value is the next argument.
fn wants_secret(argument: &str) -> bool {
    argument.starts_with('-') && !argument.contains(['=', ':', ' ']) && ends_telling(argument)
}

fn ends_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|word| name.contains(word))
}

/// One argument, which may hold a whole command line, a header, a URL or a piece of JSON.
fn scrub_text(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at_word = !clean.ends_with(|last: char| last.is_ascii_alphanumeric());
        let hit = if at_word { secret_at(rest) } else { None };
        if let Some(Secret { shown, hidden }) = hit {
            clean.push_str(&rest[..shown]);
            clean.push_str(MASK);
            rest = &rest[shown + hidden..];
        } else {
            // A telling word may stand anywhere in a name (`PGPASSWORD`), so only the name's start is passed over.
            let length = if at_word { name_length(rest).max(first.len_utf8()) } else { first.len_utf8() };
            clean.push_str(&rest[..length]);
            rest = &rest[length..];
        }
    }
    clean
}

/// Where a secret lies: behind `shown` bytes, `hidden` bytes long.
struct Secret {
    shown: usize,
    hidden: usize,
}

/// The secret that belongs to the word at the start of `text`, if any.
fn secret_at(text: &str) -> Option<Secret> {
    named_secret(text).or_else(|| bearer(text)).or_else(|| aws_key(text)).or_else(|| url_password(text))
}

/// `NAME=value`, `NAME: value`, `"name": "value"`, and `--name value` inside a command line.
fn named_secret(text: &str) -> Option<Secret> {
    let name = name_length(text);
    if name == 0 || !ends_telling(&text[..name]) {
        return None;
    }
    let mut shown = name + quote_length(&text[name..]);
    shown += blank_length(&text[shown..]);
    match text[shown..].chars().next() {
        Some('=' | ':') => {
            shown += 1;
            shown += blank_length(&text[shown..]);
        }
        // `--password x`: a blank is enough behind a flag alone, or prose about passwords would be hidden.
        Some(_) if text.starts_with('-') && shown > name => {}
        _ => return None,
    }
    let is_header = text[..name].to_ascii_lowercase().contains("authorization");
    let (quote, hidden) = value_length(&text[shown..], is_header);
    (hidden > 0).then_some(Secret { shown: shown + quote, hidden })
}

/// `Bearer TOKEN` and `Basic TOKEN` (RFC 6750, RFC 7617).
fn bearer(text: &str) -> Option<Secret> {
    let scheme = ["bearer ", "basic "].iter().find(|scheme| starts_with_ignoring_case(text, scheme))?;
    let hidden = token_length(&text[scheme.len()..]);
    (hidden >= 8).then_some(Secret { shown: scheme.len(), hidden })
}

/// Access key ids of AWS (IAM User Guide, "IAM identifiers", unique id prefixes).
fn aws_key(text: &str) -> Option<Secret> {
    let is_key = text.starts_with("AKIA") || text.starts_with("ASIA");
    let length = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    (is_key && length == 20).then_some(Secret { shown: 4, hidden: 16 })
}

/// `scheme://user:password@host` (RFC 3986, section 3.2.1).
fn url_password(text: &str) -> Option<Secret> {
    let scheme = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
    let start = text[scheme..].starts_with("://").then_some(scheme + 3)?;
    let is_end = |letter: char| letter.is_whitespace() || "/?#\"'<>".contains(letter);
    let authority = &text[start..start + text[start..].find(is_end).unwrap_or(text.len() - start)];
    let (user_information, _) = authority.rsplit_once('@')?;
    let user = user_information.find(':')? + 1;
    (user < user_information.len()).then(|| Secret { shown: start + user, hidden: user_information.len() - user })
}

/// Length of the opening quote, if any, and of the value behind it.
fn value_length(text: &str, to_line_end: bool) -> (usize, usize) {
    // Inside a quoted command line or JSON text, quotes come with a backslash.
    for quote in ["\\\"", "\"", "'"] {
        if let Some(value) = text.strip_prefix(quote) {
            return (quote.len(), value.find(quote).unwrap_or(value.len()));
        }
    }
    let ends = |letter: char| match letter {
        '\n' | '\r' | '"' | '\'' => true,
        ' ' | '\t' | '&' | ';' | ',' | '}' => !to_line_end,
        _ => false,
    };
    (0, text.find(ends).unwrap_or(text.len()))
}

fn name_length(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)).count()
}

fn token_length(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte)).count()
}

fn quote_length(text: &str) -> usize {
    ["\\\"", "\"", "'"].iter().find(|quote| text.starts_with(**quote)).map_or(0, |quote| quote.len())
}

fn blank_length(text: &str) -> usize {
    text.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// At most `most` bytes of a text, cut between characters.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// At most [`MOST_REPORTED`] bytes in all, counting one for each argument, so that empty ones count too.
fn bounded(arguments: Vec<String>) -> Vec<String> {
    let mut room = MOST_REPORTED;
    let mut kept = Vec::new();
    for argument in arguments {
        if argument.len() < room {
            room -= argument.len() + 1;
            kept.push(argument);
            continue;
        }
        if room > ELLIPSIS.len() {
            kept.push(format!("{}{ELLIPSIS}", cut(&argument, room - ELLIPSIS.len() - 1)));
        }
        break;
    }
    kept
}

#[cfg(test)]
mod tests;
