//! Strict HTTP/1.1 that keeps raw bytes. Sources: RFC 9112, RFC 9110.
//!
//! Two readers that disagree about where a request ends are an attack's way in. So whatever is ambiguous about framing is
//! refused, and whatever is only odd is kept as it came, for the rules to judge.

mod chunked;
mod head;
mod response;
mod target;
mod values;

pub use chunked::{BadChunk, Chunked, Progress};
pub use head::{Framing, Head, Header, MAX_HEAD, Refusal, Version, is_token, read_head};
pub use response::{BadResponse, BodyEnd, ResponseHead, read_response_head};
pub(crate) use values::set_combined_size;
pub use values::{add_arguments, fill_head, percent_decoded};
