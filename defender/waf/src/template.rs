//! Reads text with places to fill in: `%{COLLECTION.name}`. Source: `ModSecurity` reference manual v3, "Macro expansion".

use crate::{
    rule::{Piece, Template},
    value::Collection,
};

impl Template {
    /// Reads a text; `%{` without its `}` stands for itself.
    ///
    /// # Errors
    /// In words, for a place whose collection is not known.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, place, after)) = next_place(rest) {
            push_text(&mut pieces, before);
            pieces.push(variable(place)?);
            rest = after;
        }
        push_text(&mut pieces, rest);
        Ok(Self(pieces))
    }

    /// The text when there is nothing to fill in.
    #[must_use]
    pub fn constant(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [] => Some(b""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// What is before the first place, in it, and after it.
fn next_place(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find("%{")?;
    let (place, after) = text[start + 2..].split_once('}')?;
    Some((&text[..start], place, after))
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.as_bytes().into()));
    }
}

/// `TX.name` or `TX:name`; names of `TX` are kept in lower case.
fn variable(place: &str) -> Result<Piece, String> {
    let (collection, name) = place.split_once(['.', ':']).unwrap_or((place, ""));
    let known = Collection::named(place).map(|collection| (collection, ""));
    let (collection, name) = known
        .or_else(|| Collection::named(collection).map(|collection| (collection, name)))
        .ok_or_else(|| format!("`%{{{place}}}` names no collection that is known"))?;
    let name = if collection == Collection::Tx { name.to_ascii_lowercase() } else { name.to_owned() };
    Ok(Piece::Variable(collection, name.into_bytes().into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.as_bytes().into())
    }

    fn place(collection: Collection, name: &str) -> Piece {
        Piece::Variable(collection, name.as_bytes().into())
    }

    /// Places are found between texts, names of `TX` in lower case, others as they are spelt.
    #[test]
    fn places_are_read() {
        let parsed =
            Template::parse("Matched: %{TX.0} within %{MATCHED_VAR_NAME}: %{request_headers.Host}%{tx:A_b}").unwrap();
        assert_eq!(
            parsed.0,
            [
                text("Matched: "),
                place(Collection::Tx, "0"),
                text(" within "),
                place(Collection::MatchedVarName, ""),
                text(": "),
                place(Collection::RequestHeaders, "Host"),
                place(Collection::Tx, "a_b"),
            ]
        );
        assert_eq!(parsed.constant(), None);
    }

    /// A text without a whole place is constant.
    #[test]
    fn unfinished_places_are_text() {
        assert_eq!(Template::parse("100%").unwrap().constant(), Some(&b"100%"[..]));
        assert_eq!(Template::parse("%{TX.a").unwrap().constant(), Some(&b"%{TX.a"[..]));
        assert_eq!(Template::parse("").unwrap().constant(), Some(&b""[..]));
        assert!(Template::parse("%{NOTHING.x}").unwrap_err().contains("NOTHING.x"));
    }

    proptest! {
        /// No text panics, and what holds no place comes out as it went in.
        #[test]
        fn any_text_is_read(text in "[%{}A-Za-z.:é ]{0,40}") {
            if let Ok(template) = Template::parse(&text) && !text.contains("%{") {
                prop_assert_eq!(template.constant(), Some(text.as_bytes()));
            }
        }
    }
}
