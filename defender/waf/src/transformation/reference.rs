//! The transformations once more, naively: one byte at a time with an index, no searches, no slices. What both say is
//! unlikely to be a slip of either.

use super::Transformation as T;

/// What a transformation makes of a value.
#[must_use]
pub fn apply(transformation: T, value: &[u8]) -> Vec<u8> {
    match transformation {
        T::Lowercase => map(value, |byte| byte.to_ascii_lowercase()),
        T::Uppercase => map(value, |byte| byte.to_ascii_uppercase()),
        T::ReplaceNulls => map(value, |byte| if byte == 0 { b' ' } else { byte }),
        T::RemoveNulls => drop(value, &[0]),
        T::RemoveWhitespace => drop(value, b" \t\n\x0B\x0C\r\xA0"),
        T::CompressWhitespace => compress(value),
        T::Trim => trim(&trim(value, true), false),
        T::TrimLeft => trim(value, true),
        T::TrimRight => trim(value, false),
        T::CmdLine => cmd_line(value),
        T::UrlDecode => url(value, false),
        T::UrlDecodeUni => url(value, true),
        T::UrlEncode => url_encode(value),
        T::JsDecode => escapes(value, js),
        T::EscapeSeqDecode => escapes(value, sequence),
        T::CssDecode => escapes(value, css),
        T::HtmlEntityDecode => html(value),
        T::ReplaceComments => replace_comments(value),
        T::RemoveComments => remove_comments(value),
        T::RemoveCommentsChar => remove_marks(value),
        T::Base64Decode => base64(value, *b"+/", false),
        T::Base64DecodeExt => base64_ext(value),
        T::Base64Encode => base64_encode(value),
        T::HexEncode => value.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect(),
        T::HexDecode => hex_decode(value),
        T::SqlHexDecode => sql_hex(value),
        T::Length => format!("{}", value.len()).into_bytes(),
        T::Utf8ToUnicode => utf8(value),
        T::NormalizePath => path(value.to_vec(), false),
        T::NormalizePathWin => path(value.to_vec(), true),
        T::Md5 | T::Sha1 => transformation.apply(value).into_owned(), // published digests stand in the samples
    }
}

fn at(value: &[u8], place: usize) -> u8 {
    value.get(place).copied().unwrap_or(0)
}

fn hex(value: &[u8], place: usize, count: usize) -> Option<u32> {
    let digits = value.get(place..place + count)?;
    digits
        .iter()
        .all(u8::is_ascii_hexdigit)
        .then(|| u32::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
}

/// The byte of a character number, full-width forms folded.
fn fold(code: u32) -> u8 {
    if (0xFF01..=0xFF5E).contains(&code) { (code - 0xFEE0) as u8 } else { code as u8 }
}

fn map(value: &[u8], change: impl Fn(u8) -> u8) -> Vec<u8> {
    value.iter().map(|byte| change(*byte)).collect()
}

fn drop(value: &[u8], gone: &[u8]) -> Vec<u8> {
    value.iter().copied().filter(|byte| !gone.contains(byte)).collect()
}

const SPACES: &[u8] = b" \t\n\x0B\x0C\r";

fn compress(value: &[u8]) -> Vec<u8> {
    let mut output: Vec<u8> = Vec::new();
    for (place, byte) in value.iter().enumerate() {
        if !SPACES.contains(byte) {
            output.push(*byte);
        } else if place == 0 || !SPACES.contains(&value[place - 1]) {
            output.push(b' ');
        }
    }
    output
}

fn trim(value: &[u8], left: bool) -> Vec<u8> {
    let mut output = value.to_vec();
    while !output.is_empty() {
        let place = if left { 0 } else { output.len() - 1 };
        if !SPACES.contains(&output[place]) {
            break;
        }
        output.remove(place);
    }
    output
}

fn cmd_line(value: &[u8]) -> Vec<u8> {
    let lower = value.to_ascii_lowercase();
    let kept = drop(&lower, b"\"'\\^");
    let spaced = map(&kept, |byte| if b" ,;\t\r\n".contains(&byte) { b' ' } else { byte });
    let mut output: Vec<u8> = Vec::new();
    for byte in spaced {
        if byte == b' ' && output.last() == Some(&b' ') {
            continue;
        }
        if b"/(".contains(&byte) && output.last() == Some(&b' ') {
            output.pop();
        }
        output.push(byte);
    }
    output
}

fn url(value: &[u8], unicode: bool) -> Vec<u8> {
    let mut output = Vec::new();
    let mut place = 0;
    while place < value.len() {
        let wide = unicode && value[place] == b'%' && b"uU".contains(&at(value, place + 1));
        let code = if wide { hex(value, place + 2, 4) } else { hex(value, place + 1, 2) };
        match (value[place], code) {
            (b'%', Some(code)) if wide => {
                output.push(fold(code));
                place += 5;
            }
            (b'%', Some(code)) => {
                output.push(code as u8);
                place += 2;
            }
            (b'+', _) => output.push(b' '),
            (byte, _) => output.push(byte),
        }
        place += 1;
    }
    output
}

fn url_encode(value: &[u8]) -> Vec<u8> {
    value
        .iter()
        .flat_map(|byte| match byte {
            b' ' => b"+".to_vec(),
            byte if byte.is_ascii_alphanumeric() || *byte == b'*' => vec![*byte],
            byte => format!("%{byte:02x}").into_bytes(),
        })
        .collect()
}

/// Walks over backslashes; `decode` is given the place after one and gives what comes out and the next place.
fn escapes(value: &[u8], decode: fn(&[u8], usize) -> (Vec<u8>, usize)) -> Vec<u8> {
    let mut output = Vec::new();
    let mut place = 0;
    while place < value.len() {
        if value[place] == b'\\' {
            let (bytes, next) = decode(value, place + 1);
            output.extend(bytes);
            place = next;
        } else {
            output.push(value[place]);
            place += 1;
        }
    }
    output
}

fn octal(value: &[u8], place: usize) -> (String, u32) {
    let mut digits = String::new();
    while digits.len() < 3 && (b'0'..=b'7').contains(&at(value, place + digits.len())) {
        digits.push(char::from(value[place + digits.len()]));
    }
    let number = u32::from_str_radix(&digits, 8).unwrap_or(0);
    (digits, number)
}

fn letter(byte: u8) -> u8 {
    match b"abfnrtv".iter().position(|known| *known == byte) {
        Some(place) => [7, 8, 12, 10, 13, 9, 11][place],
        None => byte,
    }
}

fn js(value: &[u8], place: usize) -> (Vec<u8>, usize) {
    let byte = at(value, place);
    if place >= value.len() {
        (vec![b'\\'], place)
    } else if byte == b'u' && hex(value, place + 1, 4).is_some() {
        (vec![fold(hex(value, place + 1, 4).unwrap())], place + 5)
    } else if byte == b'x' && hex(value, place + 1, 2).is_some() {
        (vec![hex(value, place + 1, 2).unwrap() as u8], place + 3)
    } else {
        match octal(value, place) {
            (digits, number) if digits.len() == 3 && number >= 256 => (vec![(number / 8) as u8], place + 2),
            (digits, number) if !digits.is_empty() => (vec![number as u8], place + digits.len()),
            _ => (vec![letter(byte)], place + 1),
        }
    }
}

fn sequence(value: &[u8], place: usize) -> (Vec<u8>, usize) {
    let byte = at(value, place);
    if place >= value.len() {
        return (vec![b'\\'], place);
    }
    if b"xX".contains(&byte) {
        return match hex(value, place + 1, 2) {
            Some(code) => (vec![code as u8], place + 3),
            None => (vec![byte], place + 1),
        };
    }
    let (digits, number) = octal(value, place);
    if digits.is_empty() { (vec![letter(byte)], place + 1) } else { (vec![number as u8], place + digits.len()) }
}

fn css(value: &[u8], place: usize) -> (Vec<u8>, usize) {
    let count = (1..=6).rev().find(|count| hex(value, place, *count).is_some());
    let Some(count) = count else {
        let bytes = if place >= value.len() || value[place] == b'\n' { vec![] } else { vec![value[place]] };
        return (bytes, place + 1);
    };
    let code = hex(value, place, count).unwrap();
    let byte = if count >= 4 && code <= 0xFFFF { fold(code) } else { code as u8 };
    let next = place + count;
    (vec![byte], next + usize::from(next < value.len() && SPACES.contains(&value[next])))
}

fn html(value: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut place = 0;
    while place < value.len() {
        if let Some((byte, next)) = html_entity(value, place) {
            output.push(byte);
            place = if at(value, next) == b';' { next + 1 } else { next };
        } else {
            output.push(value[place]);
            place += 1;
        }
    }
    output
}

fn html_entity(value: &[u8], place: usize) -> Option<(u8, usize)> {
    if value[place] != b'&' {
        return None;
    }
    let run = |from: usize, test: fn(&u8) -> bool| (from..value.len()).take_while(|at| test(&value[*at])).count();
    let (from, base, length) = match (at(value, place + 1), at(value, place + 2)) {
        (b'#', b'x' | b'X') => (place + 3, 16, run(place + 3, u8::is_ascii_hexdigit)),
        (b'#', _) => (place + 2, 10, run(place + 2, u8::is_ascii_digit)),
        _ => (place + 1, 0, run(place + 1, u8::is_ascii_alphanumeric)),
    };
    let text = std::str::from_utf8(value.get(from..from + length)?).unwrap().to_ascii_lowercase();
    if base == 0 {
        let names = [("quot", b'"'), ("amp", b'&'), ("lt", b'<'), ("gt", b'>'), ("nbsp", 0xA0)];
        return names.iter().find(|(name, _)| *name == text).map(|(_, byte)| (*byte, from + length));
    }
    let number = if text.is_empty() { None } else { Some(i64::from_str_radix(&text, base).unwrap_or(i64::MAX)) };
    number.map(|number| (number as u8, from + length))
}

fn starts(value: &[u8], place: usize, text: &[u8]) -> bool {
    value[place..].starts_with(text)
}

fn replace_comments(value: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    let (mut place, mut inside) = (0, false);
    while place < value.len() {
        match (inside, starts(value, place, b"/*"), starts(value, place, b"*/")) {
            (false, true, _) => (inside, place) = (true, place + 2),
            (false, ..) => {
                output.push(value[place]);
                place += 1;
            }
            (true, _, true) => {
                output.push(b' ');
                (inside, place) = (false, place + 2);
            }
            (true, ..) => place += 1,
        }
    }
    if inside {
        output.push(b' ');
    }
    output
}

fn remove_comments(value: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    let (mut place, mut inside) = (0, false);
    while place < value.len() {
        let opens = [&b"/*"[..], b"<!--"].iter().find(|mark| starts(value, place, mark)).map_or(0, |mark| mark.len());
        let closes = [&b"*/"[..], b"-->"].iter().find(|mark| starts(value, place, mark)).map_or(0, |mark| mark.len());
        if inside {
            inside = closes == 0;
            place += closes.max(1);
        } else if opens > 0 {
            inside = true;
            place += opens;
        } else if starts(value, place, b"--") || value[place] == b'#' {
            return output;
        } else {
            output.push(value[place]);
            place += 1;
        }
    }
    if inside {
        output.push(b' ');
    }
    output
}

fn remove_marks(value: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut place = 0;
    while place < value.len() {
        let marks: [&[u8]; 6] = [b"/*", b"*/", b"<!--", b"-->", b"--", b"#"];
        if let Some(mark) = marks.iter().find(|mark| starts(value, place, mark)) {
            place += mark.len();
        } else {
            output.push(value[place]);
            place += 1;
        }
    }
    output
}

/// Decodes by strings of binary digits.
fn base64(value: &[u8], last: [u8; 2], lenient: bool) -> Vec<u8> {
    let alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(last).collect();
    let mut bits = String::new();
    for byte in value {
        match alphabet.iter().position(|known| known == byte) {
            Some(sextet) => bits.push_str(&format!("{sextet:06b}")),
            None if lenient || b"\r\n".contains(byte) => {}
            None => break,
        }
    }
    let whole = bits.len() / 8 * 8;
    (0..whole).step_by(8).map(|from| u8::from_str_radix(&bits[from..from + 8], 2).unwrap()).collect()
}

fn base64_ext(value: &[u8]) -> Vec<u8> {
    let plain = map(value, |byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    });
    let known = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    for place in 0..plain.len() {
        if plain[place] == b'=' && at(&plain, place + 1) != b'=' && plain[..place].iter().filter(known).count() % 4 == 1
        {
            return Vec::new();
        }
    }
    base64(&plain, *b"+/", true)
}

fn base64_encode(value: &[u8]) -> Vec<u8> {
    let alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*b"+/").collect();
    let mut bits: String = value.iter().map(|byte| format!("{byte:08b}")).collect::<Vec<_>>().concat();
    while !bits.len().is_multiple_of(6) {
        bits.push('0');
    }
    let sextets = (0..bits.len()).step_by(6).map(|from| usize::from_str_radix(&bits[from..from + 6], 2).unwrap());
    let mut output: Vec<u8> = sextets.map(|sextet| alphabet[sextet]).collect();
    while !output.len().is_multiple_of(4) {
        output.push(b'=');
    }
    output
}

fn hex_decode(value: &[u8]) -> Vec<u8> {
    let digit =
        |byte: u8| -> i32 { if byte >= b'A' { i32::from(byte & 0xDF) - 65 + 10 } else { i32::from(byte) - 48 } };
    (0..value.len() / 2).map(|pair| (digit(value[pair * 2]) * 16 + digit(value[pair * 2 + 1])) as u8).collect()
}

fn sql_hex(value: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut place = 0;
    while place < value.len() {
        if value[place] == b'0' && b"xX".contains(&at(value, place + 1)) && hex(value, place + 2, 2).is_some() {
            place += 2;
            while let Some(code) = hex(value, place, 2) {
                output.push(code as u8);
                place += 2;
            }
        } else {
            output.push(value[place]);
            place += 1;
        }
    }
    output
}

fn utf8(value: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut place = 0;
    while place < value.len() {
        let byte = value[place];
        let more = [(0xE0, 0xC0, 1_usize), (0xF0, 0xE0, 2), (0xF8, 0xF0, 3)]
            .iter()
            .find(|(mask, lead, _)| byte & mask == *lead)
            .map_or(0, |(.., more)| *more);
        if byte >= 0xF5 && more == 3 || more == 0 && byte != 0 {
            output.push(byte);
        }
        place += 1;
        let tail: Vec<u8> = (0..more).map(|at_tail| at(value, place + at_tail)).collect();
        if more > 0 && tail.iter().all(|byte| byte >> 6 == 0b10) {
            let code =
                tail.iter().fold(u32::from(byte) % (1 << (6 - more)), |code, byte| code * 64 + u32::from(byte % 64));
            output.extend(format!("%u{code:0>4x}").into_bytes());
            if code >> 11 == 0x1B || code < [0, 0x80, 0x800, 0x1_0000][more] {
                output.push(byte);
            }
            place += more;
        }
    }
    output
}

/// In place with two indices, as the C code of `ModSecurity` walks.
fn path(mut text: Vec<u8>, windows: bool) -> Vec<u8> {
    if windows {
        text = map(&text, |byte| if byte == b'\\' { b'/' } else { byte });
    }
    if text.is_empty() {
        return text;
    }
    let end = text.len() as i64 - 1;
    let get = |text: &[u8], place: i64| text[place as usize];
    let relative = text[0] != b'/';
    let trailing = text[end as usize] == b'/';
    let (mut from, mut to, mut root) = (0_i64, 0_i64, false);
    while from <= end {
        let done = from == end;
        if done || get(&text, from + 1) == b'/' {
            let byte = get(&text, from);
            if !done && byte == b'/' {
            } else if byte == b'.' {
                if to > 0 && get(&text, to - 1) == b'.' {
                    if relative && (root || to - 2 <= 0) {
                        root = true;
                    } else {
                        to -= 3;
                        while to > 0 && get(&text, to) != b'/' {
                            to -= 1;
                        }
                        if to <= 0 {
                            root = true;
                            to = i64::from(!relative && done);
                        }
                        if done {
                            break;
                        }
                        from += 1;
                    }
                } else if to == 0 || get(&text, to - 1) == b'/' {
                    if done {
                        break;
                    }
                    to = (to - 1).max(0);
                    from += 1;
                }
            } else if to > 0 {
                root = false;
            }
        }
        if get(&text, from) == b'/' {
            while from < end && get(&text, from + 1) == b'/' {
                from += 1;
            }
            if relative && to == 0 {
                from += 1;
                continue;
            }
        }
        text[to as usize] = text[from as usize];
        to += 1;
        from += 1;
    }
    if !trailing && to > 0 && get(&text, to - 1) == b'/' {
        to -= 1;
    }
    text.truncate(to as usize);
    text
}
