//! The dynamic loader, started as if it were a program: `ld-linux-x86-64.so.2 [OPTION…] PROGRAM [ARG…]`.
//!
//! The kernel then says that the loader runs, and nothing of the program. Which one it is stands among the arguments
//! (ld.so(8); musl's `ldso/dynlink.c`). The loader opens that file itself, later, so what is found here is as good as a
//! script's name: to be sure, the loader must not be started at all (`loaderInvocation` in prevent).

/// What the loader was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Where the program stands among the arguments.
    pub at: usize,
    /// The program.
    pub program: String,
    /// Options that make other libraries load, as `--preload=…`.
    pub libraries: Vec<String>,
}

/// True for the names that C libraries give their loader.
#[must_use]
pub fn is_loader_name(path: &str) -> bool {
    let name = path.strip_suffix(" (deleted)").unwrap_or(path).rsplit('/').next().unwrap_or(path);
    let library = name.contains(".so");
    library && ["ld-", "ld.so", "ld64.so", "ld32.so"].iter().any(|start| name.starts_with(start))
}

/// Options that take the next argument as their value (glibc 2.41 `elf/rtld.c`, musl 1.2.5); the others stand alone.
const WITH_VALUE: [&str; 8] = [
    "library-path",
    "inhibit-rpath",
    "audit",
    "preload",
    "argv0",
    "glibc-hwcaps-prepend",
    "glibc-hwcaps-mask",
    "hwcaps-mask",
];
const LIBRARIES: [&str; 3] = ["library-path", "audit", "preload"];

/// Reads the loader's arguments; none when it is given no program.
#[must_use]
pub fn order(arguments: &[String]) -> Option<Order> {
    let mut rest = arguments.iter().enumerate().skip(1);
    let mut libraries = Vec::new();
    while let Some((at, argument)) = rest.next() {
        let Some(option) = argument.strip_prefix("--") else {
            return Some(Order { at, program: argument.clone(), libraries });
        };
        if option.is_empty() {
            return rest.next().map(|(at, program)| Order { at, program: program.clone(), libraries });
        }
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None if WITH_VALUE.contains(&option) => (option, rest.next().map(|(_, value)| value.clone())),
            None => (option, None),
        };
        if let Some(value) = value.filter(|_| LIBRARIES.contains(&name)) {
            libraries.push(format!("--{name}={value}"));
        }
    }
    None
}

/// True when these are the first bytes of a dynamic loader: a shared object that names itself as one.
///
/// `read(offset, length)` gives bytes of the file, fewer at its end. ELF-64 little-endian only: what both machines that we
/// build for run (`elf(5)`).
#[must_use]
pub fn is_loader_image(read: impl Fn(u64, usize) -> Vec<u8>) -> bool {
    soname(read).is_some_and(|name| is_loader_name(&name) || name.starts_with("libc.musl-") || name == "libc.so")
}

const SHARED_OBJECT: u64 = 3;
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;

/// The name that a shared object without an interpreter of its own gives itself.
fn soname(read: impl Fn(u64, usize) -> Vec<u8>) -> Option<String> {
    let header = read(0, 64);
    if !header.starts_with(b"\x7fELF\x02\x01") || number(&header, 16, 2)? != SHARED_OBJECT {
        return None;
    }
    let count = number(&header, 56, 2)?.min(64) as usize;
    let table = read(number(&header, 32, 8)?, 56 * count);
    let segments: Vec<&[u8]> = table.chunks_exact(56).collect();
    let kind = |segment: &&&[u8]| number(segment, 0, 4);
    if segments.iter().any(|segment| kind(&segment) == Some(PT_INTERP)) {
        return None;
    }
    let dynamic = segments.iter().find(|segment| kind(segment) == Some(PT_DYNAMIC))?;
    let entries = read(number(dynamic, 8, 8)?, number(dynamic, 32, 8)?.min(4096) as usize);
    let entry = |tag| {
        entries.chunks_exact(16).find(|entry| number(entry, 0, 8) == Some(tag)).and_then(|entry| number(entry, 8, 8))
    };
    let address = entry(DT_STRTAB)?.checked_add(entry(DT_SONAME)?)?;
    // The dynamic table speaks of addresses; the segment that holds one says where in the file that is.
    let offset = segments.iter().filter(|segment| kind(segment) == Some(PT_LOAD)).find_map(|segment| {
        let (offset, start, size) = (number(segment, 8, 8)?, number(segment, 16, 8)?, number(segment, 32, 8)?);
        let within = address.checked_sub(start).filter(|within| *within < size)?;
        offset.checked_add(within)
    })?;
    let name = read(offset, 64);
    let end = name.iter().position(|&byte| byte == 0)?;
    String::from_utf8(name[..end].to_vec()).ok()
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let mut word = [0; 8];
    word[..length].copy_from_slice(bytes.get(at..at + length)?);
    Some(u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn loaders_are_known_by_their_names() {
        for name in [
            "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
            "/lib/ld-musl-aarch64.so.1",
            "/lib/x86_64-linux-gnu/ld-2.31.so",
            "/lib64/ld64.so.2",
            "/usr/bin/ld.so",
            "/tmp/ld-linux.so.2 (deleted)",
        ] {
            assert!(is_loader_name(name), "{name}");
        }
        for name in ["/usr/bin/ld", "/usr/bin/ldd", "/usr/bin/ld-thing", "/lib/libc.so.6", ""] {
            assert!(!is_loader_name(name), "{name}");
        }
    }

    #[test]
    fn the_program_is_found_behind_the_options() {
        for (line, program) in [
            ("ld.so /bin/id -u", Some("/bin/id")),
            ("ld.so --library-path /x:/y --argv0 good /bin/id", Some("/bin/id")),
            ("ld.so --preload=/x.so --inhibit-cache /bin/id --list", Some("/bin/id")),
            ("ld.so --list -- /bin/id", Some("/bin/id")),
            ("ld.so -x", Some("-x")),
            ("ld.so --list-tunables", None),
            ("ld.so --argv0", None),
            ("ld.so", None),
        ] {
            assert_eq!(program, order(&words(line)).as_ref().map(|order| order.program.as_str()), "{line}");
        }
        let order = order(&words("ld.so --audit a.so --argv0 x --preload=b.so p")).unwrap();
        assert_eq!(vec!["--audit=a.so", "--preload=b.so"], order.libraries);
    }

    #[test]
    fn a_copy_of_the_loader_is_known_by_what_it_is() {
        let slice = |bytes: Vec<u8>| {
            move |offset: u64, length: usize| {
                let start = (offset as usize).min(bytes.len());
                bytes[start..(start + length).min(bytes.len())].to_vec()
            }
        };
        let loader =
            std::fs::read("/lib64/ld-linux-x86-64.so.2").or_else(|_| std::fs::read("/lib/ld-linux-aarch64.so.1"));
        assert!(is_loader_image(slice(loader.unwrap())));
        assert!(!is_loader_image(slice(std::fs::read("/proc/self/exe").unwrap())));
        assert!(!is_loader_image(slice(std::fs::read("/bin/sh").unwrap())));
        assert!(!is_loader_image(slice(b"\x7fELF\x02\x01".to_vec())));
    }
}
