//! What a request's bytes become before rules see them.
//!
//! Applications are generous readers: they inflate, guess types and charsets, decode base64 and read documents within
//! documents. Rules that see the bytes alone miss what an application makes of them. A [`Body`] takes a body piece by piece,
//! undoes its content codings, and says when something is to be judged: first what is held back, read as a whole, then, when
//! the body is longer, overlapping [`window`]s of the rest, so that padding opens no hole and memory stays bounded.
//!
//! How much is done is a [`Profile`]'s choice. What is odd about a body without being wrong stands in `REQBODY_NOTES` for rules.

mod base64;
mod body;
mod charset;
mod coding;
mod graphql;
mod nested;
mod reading;
mod sniff;
mod window;

pub(crate) use self::coding::Decoding;
pub use self::{
    body::{Body, Due, Limits},
    coding::CodingError,
};
use crate::{http::Head, seclang::Source, value::Request};

/// How requests are read, and which rules stand beside the Core Rule Set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Profile {
    /// As the Core Rule Set's authors test it: a body is read as its type says, or not at all.
    CrsStrict,
    /// As applications read: types are sniffed, documents within documents, base64 and charsets are decoded; rules that
    /// mostly speak of ordinary requests are left out, and rules for what the Core Rule Set does not know are added.
    #[default]
    Balanced,
}

impl Profile {
    /// Rules that go before the Core Rule Set and after its set-up: which body is read how, and what this profile changes.
    #[must_use]
    pub fn rules(self) -> Vec<Source<'static>> {
        let bodies = Source { name: "bodies.conf", text: include_bytes!("rules/bodies.conf") };
        let balanced = Source { name: "balanced.conf", text: include_bytes!("rules/balanced.conf") };
        match self {
            Self::CrsStrict => vec![bodies],
            Self::Balanced => vec![bodies, balanced],
        }
    }
}

/// Adds what lies hidden in a head: documents and base64 within the query's arguments, cookies, the path and some fields.
/// Call it once, after phase 1 was judged; it does nothing but in [`Profile::Balanced`].
pub fn fill_hidden(request: &mut Request, head: &Head, profile: Profile) {
    if profile == Profile::Balanced {
        nested::fill_head(request, head);
    }
}
