//! Requests that are like given ones, and differ in a few places: the same ones for the same seed.

/// What attacks are made of, and what is dear to look at.
const PIECES: &[&[u8]] = &[
    b"'",
    b"\"",
    b"<",
    b">",
    b"(",
    b")",
    b"{{",
    b"}}",
    b"${",
    b"%",
    b"%25",
    b"%00",
    b"\\",
    b"\\u0027",
    b"&#x27;",
    b"\t",
    b"/",
    b"../",
    b"/*",
    b"*/",
    b"--",
    b";",
    b"|",
    b"&",
    b"=",
    b"$",
    b"`",
    b"union select ",
    b" or 1=1",
    b"<script>",
    b"onerror=",
    b"javascript:",
    b"cat /etc/passwd",
    b"c''at",
    b"sleep(",
    b"${jndi:",
    b"rO0AB",
    b"<!ENTITY",
    b"http://169.254.169.254/",
    b"[$ne]",
    b"{\"a\":[",
    b"aaaaaaaaaaaaaaaa",
    b"PHNjcmlwdD4",
    b"\xc0\xaf",
    b"\xff",
    b"$IFS",
    b"eval(",
    b"@@version",
    b"0x",
    b"char(",
];
/// Bytes of one place at most.
const MOST: usize = 64 << 10;

/// Where the differences come from.
pub struct Mutator(u64);

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A request like one of the seeds, whose framing holds.
    pub fn request(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let seed = self.one_of(seeds);
        let end = seed.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(seed.len());
        let (head, body) = (&seed[..end], seed.get(end + 4..).unwrap_or_default());
        let mut lines: Vec<Vec<u8>> =
            head.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end().to_vec()).collect();
        let mut body = body.to_vec();
        if !body.is_empty() && self.below(3) > 0 {
            self.edit(&mut body, seeds);
            for line in lines.iter_mut().filter(|line| line.to_ascii_lowercase().starts_with(b"content-length")) {
                *line = format!("Content-Length: {}", body.len()).into_bytes();
            }
        } else {
            let index = self.below(lines.len());
            self.edit_line(&mut lines[index], seeds, index == 0);
        }
        [lines.join(&b"\r\n"[..]), b"\r\n\r\n".to_vec(), body].concat()
    }

    /// Edits the target of a request line, or a field's value.
    fn edit_line(&mut self, line: &mut Vec<u8>, seeds: &[Vec<u8>], first: bool) {
        let mark = if first { b' ' } else { b':' };
        let Some(start) = line.iter().position(|byte| *byte == mark) else { return };
        let end = line.iter().rposition(|byte| *byte == b' ').filter(|end| first && *end > start).unwrap_or(line.len());
        let mut value = line[start + 1..end].to_vec();
        self.edit(&mut value, seeds);
        value.truncate(16 << 10);
        if first {
            let encoded = value.iter().flat_map(|byte| match byte {
                0..=b' ' | 0x7f.. | b'#' => format!("%{byte:02x}").into_bytes(),
                byte => vec![*byte],
            });
            value = encoded.collect();
        }
        value.iter_mut().filter(|byte| matches!(byte, 0..=8 | 10..=31 | 127)).for_each(|byte| *byte = b' ');
        line.splice(start + 1..end, value);
    }

    /// A few edits of one place.
    fn edit(&mut self, value: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        for _ in 0..=self.below(8) {
            let at = self.below(value.len() + 1);
            let end = (at + 1 + self.below(32)).min(value.len());
            match self.below(8) {
                0 if at < value.len() => value[at] = self.next() as u8,
                1 if at < end => drop(value.drain(at..end)),
                2 if at < end => {
                    let times = self.times(16);
                    let again = value[at..end].repeat(times);
                    value.splice(at..at, again);
                }
                3 => {
                    let other = self.one_of(seeds);
                    let from = self.below(other.len());
                    let to = (from + self.below(200)).min(other.len());
                    value.splice(at..at, other[from..to].to_vec());
                }
                4 => {
                    let piece = PIECES[self.below(PIECES.len())];
                    let times = self.times(4);
                    value.splice(at..at, piece.repeat(times));
                }
                _ => drop(value.splice(at..at, PIECES[self.below(PIECES.len())].iter().copied())),
            }
            value.truncate(MOST);
        }
    }

    /// How often something is repeated; seldom very often.
    fn times(&mut self, usual: usize) -> usize {
        let bound = if self.below(50) == 0 { 4096 } else { usual };
        1 + self.below(bound)
    }

    fn one_of<'s>(&mut self, seeds: &'s [Vec<u8>]) -> &'s Vec<u8> {
        &seeds[self.below(seeds.len())]
    }

    /// A number below another, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Source: Marsaglia, Xorshift RNGs, 2003 (xorshift64).
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
