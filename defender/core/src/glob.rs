//! Globs: `*` is any run of characters (`/` and `.` too), `?` any one character. No recursion; at worst pattern × text steps.

/// True when `pattern` matches the whole of `text`.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (glob, bytes) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: behind the last star, with one character more swallowed by it.
    let mut retry: Option<(usize, usize)> = None;
    while t < bytes.len() {
        match glob.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                t = next_character(text, t);
            }
            Some(&literal) if literal == bytes[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star, swallowed)) = retry else { return false };
                let swallowed = next_character(text, swallowed);
                retry = Some((star, swallowed));
                p = star + 1;
                t = swallowed;
            }
        }
    }
    glob[p..].iter().all(|&byte| byte == b'*')
}

fn next_character(text: &str, from: usize) -> usize {
    (from + 1..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::matches;

    /// The definition itself: exponential, and plainly right.
    fn brute_force(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => (0..=text.len()).any(|cut| brute_force(rest, &text[cut..])),
            (Some(('?', rest)), Some((_, tail))) => brute_force(rest, tail),
            (Some((letter, rest)), Some((first, tail))) => letter == first && brute_force(rest, tail),
            _ => false,
        }
    }

    proptest! {
        /// A glob matches exactly what the brute-force matcher matches, on characters of several bytes too.
        #[test]
        fn equals_the_brute_force_matcher(pattern in "[ab/é𝄞*?]{0,8}", text in "[ab/é𝄞]{0,9}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), brute_force(&letters(&pattern), &letters(&text)));
        }

        /// Whatever comes in, there is an answer.
        #[test]
        fn never_panics(pattern in any::<String>(), text in any::<String>()) {
            matches(&pattern, &text);
        }
    }

    /// A pattern made to let a back-tracking matcher run for years is answered at once.
    #[test]
    fn many_stars_do_not_blow_up() {
        let pattern = "*a".repeat(200) + "b";

        assert!(!matches(&pattern, &"a".repeat(20_000)));
    }
}
