//! Argument vectors without secrets and of bounded length.

/// Bytes kept of one argument vector.
const MOST_BYTES: usize = 4096;
const HIDDEN: &str = "***";
/// Words in the name of an option, a variable or a header whose value is nobody's business.
const SECRET_WORDS: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
];

/// The arguments with the values of secret-looking options, variables, headers and URLs hidden, cut at 4 KiB in all.
#[must_use]
pub fn arguments(arguments: Vec<String>) -> Vec<String> {
    let mut hide_next = false;
    let mut left = MOST_BYTES;
    let mut kept = Vec::new();
    for argument in arguments {
        if left == 0 {
            break;
        }
        let shown = if hide_next { HIDDEN.to_owned() } else { scrubbed(&argument) };
        hide_next = !hide_next && argument.starts_with('-') && !argument.contains(['=', ' ']) && secret(&argument);
        let shown = cut(shown, left);
        // An empty argument costs one, so that their number is bounded too.
        left = left.saturating_sub(shown.len().max(1));
        kept.push(shown);
    }
    kept
}

fn scrubbed(argument: &str) -> String {
    header(argument.split_inclusive(char::is_whitespace).map(word).collect())
}

/// `NAME=value` and `scheme://user:password@host`.
fn word(word: &str) -> String {
    let end = word.trim_end().len();
    let (body, space) = word.split_at(end);
    if let Some((name, value)) = body.split_once('=')
        && !value.is_empty()
        && secret(name)
    {
        return format!("{name}={HIDDEN}{space}");
    }
    if let Some((scheme, rest)) = body.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@') {
            let name = user.split(':').next().unwrap_or_default();
            return format!("{scheme}://{name}:{HIDDEN}{}{space}", &rest[user.len()..]);
        }
    }
    word.to_owned()
}

/// `Authorization: Bearer …` and its like.
fn header(text: String) -> String {
    match text.split_once(':') {
        Some((name, value)) if !value.starts_with("//") && !name.contains(char::is_whitespace) && secret(name) => {
            format!("{name}: {HIDDEN}")
        }
        _ => text,
    }
}

fn secret(name: &str) -> bool {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    SECRET_WORDS.iter().any(|word| plain.contains(word))
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(argument: &str) -> String {
        arguments(vec![argument.into()]).remove(0)
    }

    #[test]
    fn values_of_secret_options_variables_headers_and_urls_are_hidden() {
        assert_eq!(one("--password=hunter2"), "--password=***");
        assert_eq!(
            one("DB_PASSWORD=hunter2 AWS_SECRET_ACCESS_KEY=x cmd"),
            "DB_PASSWORD=*** AWS_SECRET_ACCESS_KEY=*** cmd"
        );
        assert_eq!(one("Authorization: Bearer abc"), "Authorization: ***");
        assert_eq!(one("postgres://shop:hunter2@db/x"), "postgres://shop:***@db/x");
        assert_eq!(arguments(vec!["--api-key".into(), "abc".into(), "x".into()]), ["--api-key", "***", "x"]);
    }

    #[test]
    fn ordinary_arguments_stay_as_they_are() {
        for argument in ["-c", "id; uname -a", "a=b", "https://example.com/x?y", ""] {
            assert_eq!(one(argument), argument);
        }
    }

    #[test]
    fn never_more_than_four_kibibytes_are_kept() {
        let kept = arguments(vec!["é".repeat(1500), "é".repeat(1500), "more".into()]);
        assert!(kept.iter().map(String::len).sum::<usize>() <= 4096);
        assert!(arguments(vec![String::new(); 10_000]).len() <= 4096);
    }
}
