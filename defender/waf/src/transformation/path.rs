//! `normalizePath` and `normalizePathWin`.

/// Removes `.` and `..` segments and double slashes; `windows` turns backslashes into slashes first. The way of
/// libmodsecurity, byte by byte: a relative path keeps what goes above its start, an absolute one stops at its root, a
/// trailing slash stays only where there was one, and any segment that ends in `..` counts as a step back.
pub(super) fn normalize(value: &[u8], windows: bool) -> Option<Vec<u8>> {
    let trigger = |byte: &u8| *byte == b'/' || *byte == b'.' || (windows && *byte == b'\\');
    value.iter().any(trigger).then(|| {
        let slashed = |byte: &u8| if windows && *byte == b'\\' { b'/' } else { *byte };
        let input: Vec<u8> = value.iter().map(slashed).collect();
        Walk::new(&input).run()
    })
}

/// The state of the walk over a path: what came out so far, and where the input stands.
struct Walk<'a> {
    input: &'a [u8],
    output: Vec<u8>,
    place: usize,
    relative: bool,
    /// A step back could not be taken: those that follow stay too.
    at_root: bool,
}

/// What is to be done after a segment's last byte was looked at.
enum Then {
    /// Copy the byte at the place.
    Copy,
    /// Nothing: the input is over.
    Stop,
}

impl<'a> Walk<'a> {
    fn new(input: &'a [u8]) -> Self {
        let relative = input.first() != Some(&b'/');
        Self { input, output: Vec::with_capacity(input.len()), place: 0, relative, at_root: false }
    }

    fn run(mut self) -> Vec<u8> {
        while self.place < self.input.len() {
            let last = self.place + 1 == self.input.len();
            if last || self.input[self.place + 1] == b'/' {
                match self.end_segment(last) {
                    Then::Copy => {}
                    Then::Stop => break,
                }
            }
            self.copy();
        }
        let trailing = self.input.last() == Some(&b'/');
        if !trailing && self.output.last() == Some(&b'/') {
            self.output.pop();
        }
        self.output
    }

    /// The byte at the place is the last of its segment (or of the input).
    fn end_segment(&mut self, last: bool) -> Then {
        match self.input[self.place] {
            b'/' if !last => return Then::Copy,
            b'.' => {}
            _ => {
                self.at_root &= self.output.is_empty();
                return Then::Copy;
            }
        }
        match self.output.last() {
            Some(b'.') => {
                if self.relative && (self.at_root || self.output.len() <= 2) {
                    self.at_root = true;
                    return Then::Copy;
                }
                self.step_back(last);
                if last {
                    return Then::Stop;
                }
                self.place += 1;
            }
            None => {
                if last {
                    return Then::Stop;
                }
                self.place += 1;
            }
            Some(b'/') => {
                if last {
                    return Then::Stop;
                }
                self.output.pop();
                self.place += 1;
            }
            Some(_) => {}
        }
        Then::Copy
    }

    /// Removes the segment before this one, up to its slash (which the copy that follows writes anew).
    fn step_back(&mut self, last: bool) {
        let from = self.output.len().saturating_sub(3);
        let slash = self.output.get(1..=from).and_then(|part| part.iter().rposition(|byte| *byte == b'/'));
        if let Some(slash) = slash {
            self.output.truncate(slash + 1);
        } else {
            self.at_root = true;
            self.output.clear();
            if !self.relative && last {
                self.output.push(b'/');
            }
        }
    }

    /// Copies the byte at the place, of several slashes the last; a relative path does not begin with one.
    fn copy(&mut self) {
        let byte = self.input[self.place];
        if byte == b'/' {
            while self.input.get(self.place + 1) == Some(&b'/') {
                self.place += 1;
            }
            if self.relative && self.output.is_empty() {
                self.place += 1;
                return;
            }
        }
        self.output.push(byte);
        self.place += 1;
    }
}
