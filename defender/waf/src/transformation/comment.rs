//! Transformations that drop comments of SQL, C and HTML.

use memchr::{memchr3, memmem};

/// `replaceComments`: each C comment becomes one space, also one that is not closed; `*/` alone stays.
pub(super) fn replace(value: &[u8]) -> Option<Vec<u8>> {
    let mut next = memmem::find(value, b"/*");
    next?;
    let mut output = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = next {
        output.extend_from_slice(&rest[..start]);
        output.push(b' ');
        let inside = &rest[start + 2..];
        rest = memmem::find(inside, b"*/").map_or(&[], |end| &inside[end + 2..]);
        next = memmem::find(rest, b"/*");
    }
    output.extend_from_slice(rest);
    Some(output)
}

/// `removeComments`: C and HTML comments go, each closed by `*/` or `-->` alike; one that is not closed leaves a space.
/// `--` and `#` end the value.
pub(super) fn remove(value: &[u8]) -> Option<Vec<u8>> {
    let first = value.iter().position(|byte| matches!(byte, b'/' | b'<' | b'-' | b'#'))?;
    let mut output = Vec::with_capacity(value.len());
    output.extend_from_slice(&value[..first]);
    let mut rest = &value[first..];
    while let [byte, tail @ ..] = rest {
        if let Some(inside) = rest.strip_prefix(b"/*").or_else(|| rest.strip_prefix(b"<!--")) {
            let Some(after) = comment_end(inside) else {
                output.push(b' ');
                break;
            };
            rest = after;
        } else if *byte == b'#' || rest.starts_with(b"--") {
            break;
        } else {
            output.push(*byte);
            rest = tail;
        }
    }
    Some(output)
}

/// What follows the end of a comment.
fn comment_end(inside: &[u8]) -> Option<&[u8]> {
    let mut rest = inside;
    while let [_, tail @ ..] = rest {
        if let Some(after) = rest.strip_prefix(b"*/").or_else(|| rest.strip_prefix(b"-->")) {
            return Some(after);
        }
        rest = tail;
    }
    None
}

/// What `removeCommentsChar` drops, the first that fits.
const MARKS: [&[u8]; 6] = [b"/*", b"*/", b"<!--", b"-->", b"--", b"#"];

/// `removeCommentsChar`: the marks of comments go, what they hold stays.
pub(super) fn remove_characters(value: &[u8]) -> Option<Vec<u8>> {
    memchr3(b'*', b'-', b'#', value)?;
    let mut output = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, tail @ ..] = rest {
        if let Some(after) = MARKS.iter().find_map(|mark| rest.strip_prefix(*mark)) {
            rest = after;
        } else {
            output.push(*byte);
            rest = tail;
        }
    }
    Some(output)
}
