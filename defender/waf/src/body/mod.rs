//! Reads bodies (forms, multipart, JSON, XML) into a request's values.

pub(crate) mod json;
pub(crate) mod multipart;
pub(crate) mod protobuf;
pub(crate) mod xml;

use crate::{
    http::{add_arguments, set_combined_size},
    value::{Collection, Request},
};

/// How a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processor {
    /// `application/x-www-form-urlencoded`.
    UrlEncoded,
    /// `multipart/form-data`.
    Multipart,
    /// JSON.
    Json,
    /// XML.
    Xml,
}

/// What is wrong with a body; in `SecLang`'s words `REQBODY_ERROR_MSG`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BodyError(pub(crate) String);

impl Processor {
    /// The processor that a rule chose (`ctl:requestBodyProcessor`).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::UrlEncoded, Self::Multipart, Self::Json, Self::Xml]
            .into_iter()
            .find(|processor| processor.name().eq_ignore_ascii_case(name))
    }

    /// The processor that `ModSecurity` takes of its own accord for a content type: forms and multipart only.
    #[must_use]
    pub fn of_content_type(content_type: &[u8]) -> Option<Self> {
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            Some(Self::UrlEncoded)
        } else if essence.eq_ignore_ascii_case(b"multipart/form-data") {
            Some(Self::Multipart)
        } else {
            None
        }
    }

    /// As `SecLang` spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UrlEncoded => "URLENCODED",
            Self::Multipart => "MULTIPART",
            Self::Json => "JSON",
            Self::Xml => "XML",
        }
    }
}

/// Adds what a body tells: its arguments, files and parts, `REQBODY_PROCESSOR` and what is wrong with it. `depth` is how deep
/// JSON and XML may be nested; `forced` adds `REQUEST_BODY` whatever the kind. A body that cannot be read leaves the values
/// that were read before the fault, and `REQBODY_ERROR` 1.
pub fn fill_body(request: &mut Request, body: &[u8], processor: Option<Processor>, depth: usize, forced: bool) {
    request.set(Collection::ReqbodyProcessor, processor.map_or("", Processor::name).as_bytes());
    request.set(Collection::RequestBodyLength, body.len().to_string().as_bytes());
    if forced || matches!(processor, None | Some(Processor::UrlEncoded | Processor::Json)) {
        request.set(Collection::RequestBody, body);
    }
    let outcome = match processor {
        None => Ok(()),
        // A request may name a type and have no body.
        Some(Processor::Json | Processor::Xml | Processor::Multipart) if body.is_empty() => Ok(()),
        Some(Processor::UrlEncoded) => {
            add_arguments(request, Collection::ArgsPost, body);
            Ok(())
        }
        Some(Processor::Json) => json::read(body, depth, &mut |name, value| {
            request.add(Collection::ArgsPost, name, value);
        }),
        Some(Processor::Xml) => xml::read(request, body, depth, false),
        Some(Processor::Multipart) => {
            let content_type = request.first(Collection::RequestHeaders, b"content-type").unwrap_or_default().to_vec();
            multipart::read(request, body, &content_type, &mut |_, _| {})
        }
    };
    set_combined_size(request);
    set_outcome(request, outcome);
}

/// Says whether the body could be read.
pub(crate) fn set_outcome(request: &mut Request, outcome: Result<(), BodyError>) {
    let failed = if outcome.is_err() { b"1" } else { b"0" };
    request.set(Collection::ReqbodyError, failed);
    request.set(Collection::ReqbodyProcessorError, failed);
    let message = outcome.err().map(|error| error.to_string()).unwrap_or_default();
    request.set(Collection::ReqbodyErrorMsg, message.as_bytes());
}
