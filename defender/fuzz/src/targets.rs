//! The targets by name.

mod bodies;
mod http;
mod judging;
mod languages;

/// Every target.
pub const ALL: [(&str, fn(&[u8])); 13] = [
    ("head", http::head),
    ("response_head", http::response_head),
    ("chunked", http::chunked),
    ("form", bodies::form),
    ("json", bodies::json),
    ("xml", bodies::xml),
    ("multipart", bodies::multipart),
    ("transformations", languages::transformations),
    ("seclang", languages::seclang),
    ("expression", languages::expression),
    ("policy", languages::policy),
    ("engine", judging::engine),
    ("exchange", judging::exchange),
];

/// Takes a number below `below` off the end of the input.
fn number(data: &mut &[u8], below: usize) -> usize {
    let Some((last, rest)) = data.split_last() else { return 0 };
    *data = rest;
    usize::from(*last) % below
}
