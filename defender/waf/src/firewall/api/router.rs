//! Finds the path of a specification that a request's path is one of.
//!
//! Paths are a tree of their segments: what is looked at for one request is at most every segment of the specification once.

use crate::http::percent_decoded;

/// Paths with what is kept for each.
#[derive(Debug, Clone)]
pub(super) struct Router<T> {
    root: Node<T>,
}

#[derive(Debug, Clone)]
struct Node<T> {
    /// Segments without anything that differs, in order.
    fixed: Vec<(Vec<u8>, Node<T>)>,
    /// Segments with something that differs.
    open: Vec<(Segment, Node<T>)>,
    /// What is kept for the path that ends here.
    held: Option<T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { fixed: Vec::new(), open: Vec::new(), held: None }
    }
}

/// A segment with names: texts between them, percent-decoded, one more than names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    texts: Vec<Vec<u8>>,
    names: Vec<String>,
}

/// What a path's names stand for.
pub(super) type Named<'r> = Vec<(&'r str, Vec<u8>)>;

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<T: Default> Router<T> {
    /// What is kept for a path, made where there is nothing yet.
    ///
    /// # Errors
    /// In words, for a brace without its other.
    pub(super) fn entry(&mut self, path: &str) -> Result<&mut T, String> {
        let mut node = &mut self.root;
        for text in segments(path.as_bytes()) {
            let text = std::str::from_utf8(text).unwrap_or_default();
            let segment = Segment::parse(text)?;
            node = if segment.names.is_empty() { node.fixed(&segment.texts[0]) } else { node.open(segment) };
        }
        Ok(node.held.get_or_insert_with(T::default))
    }
}

impl<T> Router<T> {
    /// The path that a request's path (not decoded) is one of, fixed segments before open ones, and what its names stand for.
    pub(super) fn find(&self, path: &[u8]) -> Option<(&T, Named<'_>)> {
        let decoded: Vec<_> = segments(path).map(plain).collect();
        // Whoever resolves these would be elsewhere.
        if decoded.iter().any(|segment| matches!(&segment[..], b"" | b"." | b"..")) {
            return None;
        }
        let mut named = Vec::new();
        let held = self.root.find(&decoded, &mut named)?;
        Some((held, named))
    }
}

impl<T> Node<T> {
    fn fixed(&mut self, text: &[u8]) -> &mut Self {
        let at = match self.fixed.binary_search_by(|(known, _)| known.as_slice().cmp(text)) {
            Ok(at) => at,
            Err(at) => {
                self.fixed.insert(at, (text.to_vec(), Self::default()));
                at
            }
        };
        &mut self.fixed[at].1
    }

    fn open(&mut self, segment: Segment) -> &mut Self {
        // Two paths may give other names to the same place, and then mean the same path.
        let at = self.open.iter().position(|(known, _)| known.texts == segment.texts).unwrap_or_else(|| {
            self.open.push((segment, Self::default()));
            self.open.len() - 1
        });
        &mut self.open[at].1
    }

    fn find<'r>(&'r self, path: &[Vec<u8>], named: &mut Named<'r>) -> Option<&'r T> {
        let [first, rest @ ..] = path else { return self.held.as_ref() };
        let fixed = self.fixed.binary_search_by(|(known, _)| known.cmp(first)).ok();
        if let Some(held) = fixed.and_then(|at| self.fixed[at].1.find(rest, named)) {
            return Some(held);
        }
        for (segment, node) in &self.open {
            let before = named.len();
            if segment.read(first, named)
                && let Some(held) = node.find(rest, named)
            {
                return Some(held);
            }
            named.truncate(before);
        }
        None
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        let (mut texts, mut names) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}').ok_or_else(|| format!("`{text}` has a `{{` without `}}`"))?;
            texts.push(plain(before.as_bytes()));
            names.push(name.to_owned());
            rest = behind;
        }
        if rest.contains('}') || names.iter().any(|name| name.is_empty() || name.contains('{')) {
            return Err(format!("`{text}` is no segment of a path such as `{{id}}`"));
        }
        texts.push(plain(rest.as_bytes()));
        Ok(Self { texts, names })
    }

    /// Whether a segment is one of these; what the names stand for, never nothing, is appended.
    fn read<'r>(&'r self, segment: &[u8], named: &mut Named<'r>) -> bool {
        let Some((first, others)) = self.texts.split_first() else { return false };
        let Some(mut rest) = segment.strip_prefix(&first[..]) else { return false };
        for (at, (name, text)) in self.names.iter().zip(others).enumerate() {
            let last = at + 1 == self.names.len();
            let length = if last {
                rest.strip_suffix(&text[..]).map(<[u8]>::len)
            } else {
                // The value is not empty, so the text after it cannot begin at once.
                rest.get(1..).and_then(|later| memchr::memmem::find(later, text)).map(|at| at + 1)
            };
            let Some(length) = length.filter(|length| *length > 0) else { return false };
            named.push((name, rest[..length].to_vec()));
            rest = &rest[length + text.len()..];
        }
        true
    }
}

/// A path's segments; one slash at the end makes no difference.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    path.split(|byte| *byte == b'/').filter(move |_| !path.is_empty())
}

/// A segment decoded; a plus is a plus in paths.
fn plain(segment: &[u8]) -> Vec<u8> {
    let pieces: Vec<_> = segment.split(|byte| *byte == b'+').map(percent_decoded).collect();
    pieces.join(&b'+')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn router(paths: &[&str]) -> Router<String> {
        let mut router = Router::<String>::default();
        for path in paths {
            router.entry(path).unwrap().push_str(path);
        }
        router
    }

    fn found(router: &Router<String>, path: &str) -> Option<(String, Vec<(String, String)>)> {
        let (held, named) = router.find(path.as_bytes())?;
        let named =
            named.into_iter().map(|(name, value)| (name.to_owned(), String::from_utf8(value).unwrap())).collect();
        Some((held.clone(), named))
    }

    #[test]
    fn fixed_segments_go_before_open_ones() {
        let router = router(&[
            "/",
            "/users/{id}",
            "/users/me",
            "/users/me/pets",
            "/users/{id}/pets/{pet}",
            "/r/{n}.{ext}",
            "/a%20b/{n}+%7bx%7D",
        ]);
        let name = |path| found(&router, path).map(|(held, _)| held);

        assert_eq!(name("/").as_deref(), Some("/"));
        assert_eq!(name("/users/me").as_deref(), Some("/users/me"));
        assert_eq!(name("/users/me/pets/3").as_deref(), Some("/users/{id}/pets/{pet}"));
        assert_eq!(
            found(&router, "/users/a%2Fb+c/pets/%37/").unwrap().1,
            [("id".to_owned(), "a/b+c".to_owned()), ("pet".to_owned(), "7".to_owned())]
        );
        assert_eq!(found(&router, "/r/a.b.c").unwrap().1[1].1, "b.c");
        assert_eq!(name("/a%20b/1+%7Bx%7D").as_deref(), Some("/a%20b/{n}+%7bx%7D"));
        for path in ["/users", "/users/1/2", "/Users/me", "/r/.x", "/r/x.", "/x"] {
            assert_eq!(name(path), None, "{path}");
        }
    }

    #[test]
    fn nobody_climbs_out_of_a_segment() {
        let router = router(&["/files/{name}", "/files/{name}/{part}"]);

        for path in ["/files/..", "/files/%2e%2e", "/files/./a", "/files//a", "//files/a", "/files/a//"] {
            assert_eq!(found(&router, path), None, "{path}");
        }
    }

    #[test]
    fn braces_come_in_pairs() {
        for path in ["/a/{b", "/a/b}", "/a/{}", "/a/{{b}}"] {
            assert!(Router::<String>::default().entry(path).is_err(), "{path}");
        }
    }

    proptest! {
        /// A path made from a template is found, by itself or by one that is more fixed.
        #[test]
        fn what_a_template_makes_is_found(paths in prop::collection::vec("(/[ab]|/\\{x\\}|/[ab]-\\{x\\}){1,4}", 1..8), value in "[abx-]{1,3}") {
            let texts: Vec<&str> = paths.iter().map(String::as_str).collect();
            let router = router(&texts);
            for path in &paths {
                prop_assert!(router.find(path.replace("{x}", &value).as_bytes()).is_some(), "{path}");
            }
        }

        /// No bytes make the search panic.
        #[test]
        fn any_path_is_searched(path in prop::collection::vec(prop::sample::select(b"/a.%2eF{}-+\xff".to_vec()), 0..40)) {
            router(&["/a/{x}-{y}", "/{z}", "/a.{x}/a"]).find(&path);
        }
    }
}
