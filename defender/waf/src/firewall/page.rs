//! What the firewall answers with instead of the application: a block page, the vendor's or one's own.

use super::{Answer, PolicyError, reading::At};

/// The header field that carries the event's number.
pub const EVENT_HEADER: &str = "X-Bartizan-Event-Id";
/// The place of the event's number in a page of one's own.
const PLACE: &str = "#eventID";
/// Bytes that a page of one's own may have.
const PAGE_LIMIT: usize = 1 << 20;

/// A block page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockPage {
    status: u16,
    /// A page of one's own, with places for the event's number.
    body: Option<String>,
    /// Whether the event's number is told in a header field.
    header: bool,
}

impl Default for BlockPage {
    fn default() -> Self {
        Self { status: 403, body: None, header: true }
    }
}

impl BlockPage {
    /// `customBlockResponse` and `disableEventIDHeader` of an application.
    pub(super) fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let header = !at.field("disableEventIDHeader")?.flag()?;
        let custom = at.field("customBlockResponse")?;
        if !custom.field("enabled")?.flag()? {
            return Ok(Self { header, ..Self::default() });
        }
        let code = custom.field("code")?;
        let status = code.number(599)?.filter(|status| *status > 0).unwrap_or(403);
        if !(200..=599).contains(&status) {
            return Err(code.wrong("has to be a status from 200 to 599"));
        }
        let body = custom.field("body")?;
        if body.text()?.len() > PAGE_LIMIT {
            return Err(body.wrong("is longer than a mebibyte"));
        }
        let own = Some(body.text()?).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Self { status: status as u16, body: own, header })
    }

    /// The answer to a refused request. `id` is the event's number.
    #[must_use]
    pub fn answer(&self, id: &str) -> Answer {
        let mut headers = vec![
            ("Content-Type".to_owned(), "text/html; charset=utf-8".to_owned()),
            // What is refused now may be let through tomorrow.
            ("Cache-Control".to_owned(), "no-store".to_owned()),
        ];
        headers.extend(self.event_header(id));
        Answer { status: self.status, headers, body: self.text(id).into_bytes() }
    }

    /// The header field that tells the event's number, if it may be told.
    #[must_use]
    pub fn event_header(&self, id: &str) -> Option<(String, String)> {
        self.header.then(|| (EVENT_HEADER.to_owned(), id.to_owned()))
    }

    fn text(&self, id: &str) -> String {
        match &self.body {
            Some(own) => own.replace(PLACE, id),
            None => format!(
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Request blocked</title></head>\n\
                 <body><h1>Request blocked</h1>\n<p>This request was refused. Who runs this site finds the reason under the \
                 number <code>{id}</code>.</p></body></html>\n"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(value: &serde_json::Value) -> BlockPage {
        BlockPage::read(&At::root(value)).unwrap()
    }

    /// Without a page of one's own there is ours: 403, with the event's number in it and in a header field.
    #[test]
    fn there_is_a_page() {
        let answer = page(&json!({})).answer("77aa");
        assert_eq!(answer.status, 403);
        assert!(String::from_utf8(answer.body).unwrap().contains("77aa"));
        assert!(answer.headers.contains(&(EVENT_HEADER.to_owned(), "77aa".to_owned())));
    }

    /// A page of one's own has its own status and the number at each place; the header field can be left out.
    #[test]
    fn a_page_can_be_ones_own() {
        let own = json!({"customBlockResponse": {"enabled": true, "code": 418, "body": "no: #eventID/#eventID"},
            "disableEventIDHeader": true});
        let answer = page(&own).answer("9");
        assert_eq!((answer.status, &answer.body[..]), (418, &b"no: 9/9"[..]));
        assert!(answer.headers.iter().all(|(name, _)| name != EVENT_HEADER));
        let off = json!({"customBlockResponse": {"enabled": false, "code": 418, "body": "x"}});
        assert_eq!(page(&off).answer("9").status, 403);
    }

    /// A status that is none is refused.
    #[test]
    fn a_page_needs_a_status() {
        let value = json!({"customBlockResponse": {"enabled": true, "code": 42}});
        let error = BlockPage::read(&At::root(&value)).unwrap_err();
        assert_eq!(error.to_string(), "`customBlockResponse.code` has to be a status from 200 to 599");
    }
}
