//! The first word of a rule: which values it looks at.

use crate::{
    operator,
    rule::{Selector, Target},
    value::Collection,
};

/// Targets and exclusions of `ARGS|!ARGS:token|&REQUEST_HEADERS:Host`.
///
/// # Errors
/// In words, for a collection that is not known or a pattern that cannot be compiled.
pub(super) fn parse(text: &str, separators: &[char]) -> Result<(Vec<Target>, Vec<Target>), String> {
    let (mut targets, mut excluded) = (Vec::new(), Vec::new());
    for part in split(text, separators) {
        match part.strip_prefix('!') {
            Some(part) => excluded.push(target(part)?),
            None => targets.push(target(&part)?),
        }
    }
    Ok((targets, excluded))
}

/// One target.
///
/// # Errors
/// As [`parse`].
pub(super) fn target(text: &str) -> Result<Target, String> {
    let (counted, text) = text.strip_prefix('&').map_or((false, text), |text| (true, text));
    let (name, selector) = text.split_once(':').map_or((text, None), |(name, selector)| (name, Some(selector)));
    if name.eq_ignore_ascii_case("XML") {
        return xml(selector, counted);
    }
    let collection = Collection::named(name).ok_or_else(|| format!("`{name}` is no variable that we know"))?;
    let selector = match selector.map(unquoted) {
        None => Selector::All,
        Some(pattern) if pattern.len() > 1 && pattern.starts_with('/') && pattern.ends_with('/') => {
            // Names have no case (RFC 9110, 5.1), and ModSecurity compares those of arguments the same way.
            let pattern = format!("(?i:{})", &pattern[1..pattern.len() - 1]);
            Selector::Matching(Box::new(operator::pattern(&pattern)?))
        }
        Some(name) => Selector::Named(name.as_bytes().into()),
    };
    Ok(Target { collection, selector, counted, slot: None, slots: None })
}

/// `XML:/*` and `XML://@*`, the two that the Core Rule Set uses.
fn xml(selector: Option<&str>, counted: bool) -> Result<Target, String> {
    let collection = match selector {
        Some("/*") => Collection::XmlText,
        Some("//@*") => Collection::XmlAttributes,
        other => {
            return Err(format!("`XML:{}` is no path that we know; use `/*` or `//@*`", other.unwrap_or_default()));
        }
    };
    Ok(Target { collection, selector: Selector::All, counted, slot: None, slots: None })
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or(text)
}

/// Splits at separators outside quotes and outside `/patterns/`.
fn split(text: &str, separators: &[char]) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut pattern, mut before) = (false, false, ' ');
    for character in text.chars() {
        match character {
            '\'' if before != '\\' && !pattern => quoted = !quoted,
            '/' if before == ':' && !ends_with_xml(parts.last()) => pattern = true,
            '/' if pattern && before != '\\' => pattern = false,
            _ => {}
        }
        if separators.contains(&character) && !quoted && !pattern {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(character);
        }
        before = character;
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// The slash after `XML:` begins a path, not a pattern.
fn ends_with_xml(part: Option<&String>) -> bool {
    part.is_some_and(|part| part.trim_start_matches(['!', '&']).eq_ignore_ascii_case("XML:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_from_exclusions() {
        let (targets, excluded) =
            parse("REQUEST_COOKIES|!REQUEST_COOKIES:/__utm|x/|&TX:'/^a|b/'|XML:/*|ARGS", &['|']).unwrap();

        assert_eq!(targets.len(), 4);
        assert!(targets[1].counted && matches!(targets[1].selector, Selector::Matching(_)));
        assert_eq!(targets[2].collection, Collection::XmlText);
        assert_eq!(excluded.len(), 1);
    }

    #[test]
    fn an_unknown_variable_is_named() {
        assert!(parse("ARGS|NOTHING", &['|']).unwrap_err().contains("`NOTHING`"));
    }
}
