//! The stack of an image that was loaded and has not run: arguments, environment, auxiliary vector (`execve(2)`,
//! `getauxval(3)`), as the kernel put them there.
//!
//! One read gets all of it in the usual case, where `/proc` would take a file for each. What does not fit is read there.
use defender_sys::{memory, trace};

use super::process;

const AT_EXECFN: u64 = 31;
/// Enough for nearly every program start; the rest takes the longer way.
const USUAL: usize = 12 << 10;

/// What a program was started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// The path that execve was given, absolute or not; none when it cannot be known.
    pub name: Option<String>,
    /// The argument vector, capped.
    pub arguments: Vec<String>,
}

/// Reads the stack of a process at its exec stop.
#[must_use]
pub fn read(process: u32) -> Start {
    usual(process)
        .unwrap_or_else(|| Start { name: process::invoked_path(process), arguments: process::arguments(process) })
}

fn usual(process: u32) -> Option<Start> {
    let pointer = trace::stack_pointer(process).ok()?;
    let mut bytes = vec![0; USUAL];
    let length = memory::read_some(process, pointer, &mut bytes).ok()?;
    bytes.truncate(length);
    parse(pointer, &bytes)
}

/// Reads a stack that starts at `address`; none when not all that matters is there.
fn parse(address: u64, bytes: &[u8]) -> Option<Start> {
    let mut words = bytes.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_ne_bytes));
    let count = words.next()?;
    let arguments: Vec<u64> = words.by_ref().take_while(|word| *word != 0).collect();
    if arguments.len() as u64 != count {
        return None;
    }
    let mut words = words.skip_while(|word| *word != 0).skip(1);
    let name = loop {
        match (words.next()?, words.next()?) {
            (AT_EXECFN, value) => break value,
            (0, _) => return None,
            _ => {}
        }
    };
    let text = |at: u64| {
        let rest = bytes.get(usize::try_from(at.checked_sub(address)?).ok()?..)?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        Some(String::from_utf8_lossy(&rest[..end]).into_owned())
    };
    let arguments = arguments.into_iter().map(text).collect::<Option<_>>()?;
    Some(Start { name: Some(text(name)?), arguments })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0x7ffc_0000_0000;

    /// A stack as the kernel builds it.
    fn stack(arguments: &[&str], environment: &[&str], name: &str) -> Vec<u8> {
        let words = 1 + arguments.len() + 1 + environment.len() + 1 + 6;
        let (mut texts, mut at) = (Vec::new(), Vec::new());
        for text in arguments.iter().chain(environment).chain([&name]) {
            at.push(BASE + 8 * words as u64 + texts.len() as u64);
            texts.extend(text.bytes().chain([0]));
        }
        let (given, rest) = at.split_at(arguments.len());
        let mut stack = vec![arguments.len() as u64];
        stack.extend(given.iter().chain([&0]).chain(&rest[..environment.len()]).chain([&0]));
        stack.extend([6, 4096, AT_EXECFN, rest[environment.len()], 0, 0]);
        stack.iter().flat_map(|word| word.to_ne_bytes()).chain(texts).collect()
    }

    #[test]
    fn arguments_and_name_are_read_as_the_kernel_put_them() {
        for arguments in [&["sh", "-c", "exit 7"][..], &[""], &[]] {
            let start = parse(BASE, &stack(arguments, &["A=1", "PATH=/bin"], "/bin/sh")).unwrap();

            assert_eq!(Some("/bin/sh"), start.name.as_deref());
            assert_eq!(arguments, start.arguments);
        }
    }

    #[test]
    fn a_part_of_a_stack_is_no_stack() {
        let whole = stack(&["sh", "-c"], &["A=1"], "/bin/sh");
        for length in 0..whole.len() {
            assert_eq!(None, parse(BASE, &whole[..length]), "{length}");
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        // Whatever lies there, only texts that lie within it come out.
        let mut seed = 1_u64;
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..40)
                .flat_map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    [0, 1, 31, BASE + (seed >> 40) % 400, seed][(seed >> 33) as usize % 5].to_ne_bytes()
                })
                .collect();

            let start = parse(BASE, &bytes).unwrap_or_default();

            assert!(start.arguments.iter().all(|text| text.len() <= 3 * bytes.len()));
        }
    }
}
