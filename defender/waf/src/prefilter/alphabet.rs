//! What is left of a pattern for values made of some bytes only.

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Repetition};

use super::sets::ByteSet;

/// Identifiers, numbers, tokens, host names: nine of ten names and values of ordinary requests.
pub(super) const NAMES: ByteSet = ByteSet::from_bytes(b"_.-").with(b'0', b'9').with(b'A', b'Z').with(b'a', b'z');
/// Text of words, dates, media types, mail addresses and paths.
pub(super) const WORDS: ByteSet = NAMES.or(ByteSet::from_bytes(b" ,:/@+"));
/// Bytes that patterns take as fillers between the letters of a command, and NUL, which some detectors skip.
const FILLERS: ByteSet = ByteSet::from_bytes(b"\0\\'\"^`$");
/// Everything but the fillers.
pub(super) const UNFILLED: ByteSet = FILLERS.others();

/// The pattern that matches the same values of this alphabet: what needs other bytes is gone. Nothing when it matches none.
/// Groups capture no more.
pub(super) fn within(pattern: &Hir, alphabet: &ByteSet) -> Option<Hir> {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Unicode(_)) => Some(pattern.clone()),
        HirKind::Literal(literal) => literal.0.iter().all(|byte| alphabet.contains(*byte)).then(|| pattern.clone()),
        HirKind::Class(Class::Bytes(class)) => {
            let left = bytes_of(class).and(*alphabet);
            let ranges = left.bytes().map(|byte| ClassBytesRange::new(byte, byte));
            (!left.is_empty()).then(|| Hir::class(Class::Bytes(ClassBytes::new(ranges))))
        }
        HirKind::Capture(capture) => within(&capture.sub, alphabet),
        HirKind::Repetition(repeated) => match within(&repeated.sub, alphabet) {
            Some(sub) => Some(Hir::repetition(Repetition { sub: Box::new(sub), ..repeated.clone() })),
            None => (repeated.min == 0).then(Hir::empty),
        },
        HirKind::Concat(parts) => {
            Some(Hir::concat(parts.iter().map(|part| within(part, alphabet)).collect::<Option<_>>()?))
        }
        HirKind::Alternation(branches) => {
            let left: Vec<Hir> = branches.iter().filter_map(|branch| within(branch, alphabet)).collect();
            (!left.is_empty()).then(|| Hir::alternation(left))
        }
    }
}

/// The bytes of a class.
pub(super) fn bytes_of(class: &ClassBytes) -> ByteSet {
    class.ranges().iter().fold(ByteSet::EMPTY, |set, range| set.with(range.start(), range.end()))
}
