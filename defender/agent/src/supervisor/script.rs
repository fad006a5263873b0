//! Scripts: files that the kernel gives to the interpreter that their first line names (execve(2)).
use super::process::{absolute, link_to, read_at_once};

/// `BINPRM_BUF_SIZE`: what the kernel looks at of a script, and how often it goes on from script to script.
const LONGEST_FIRST_LINE: usize = 256;
const DEEPEST_CHAIN: usize = 5;

/// True when the file that `link` leads to starts with `#!`.
#[must_use]
pub fn is_script(link: &str) -> bool {
    read_at_once(link, 2).is_some_and(|start| start == b"#!")
}

/// The scripts that stand between a script and its interpreter, when that is a script itself (execve(2)).
#[must_use]
pub fn scripts_between(process: u32, script: &str) -> Vec<String> {
    let mut between = Vec::new();
    let mut script = link_to(process, script);
    // The kernel goes no deeper; what it loads in the end is no script.
    while between.len() < DEEPEST_CHAIN {
        let start = read_at_once(&script, LONGEST_FIRST_LINE).unwrap_or_default();
        let Some(interpreter) = interpreter(&start) else { break };
        let interpreter = absolute(process, interpreter);
        script = link_to(process, &interpreter);
        if !is_script(&script) {
            break;
        }
        between.push(interpreter);
    }
    between
}

/// The interpreter that a file's first line names.
fn interpreter(start: &[u8]) -> Option<&[u8]> {
    let line = start.strip_prefix(b"#!")?.split(|&byte| byte == b'\n' || byte == 0).next()?.trim_ascii_start();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    (end > 0).then(|| &line[..end])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn scripts_are_known_by_their_first_bytes() {
        let path = std::env::temp_dir().join(format!("script-{}", std::process::id())).to_string_lossy().into_owned();
        fs::write(&path, "#!/bin/sh\n").unwrap();

        assert!(is_script(&path));
        assert!(!is_script("/proc/self/exe") && !is_script("/dev/null") && !is_script("/nothing/here"));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_first_line_names_an_interpreter_or_nothing() {
        for (line, named) in [
            (&b"#!/bin/sh -e\nx"[..], Some(&b"/bin/sh"[..])),
            (b"#! \t/usr/bin/env python3\n", Some(b"/usr/bin/env")),
            (b"#!sh", Some(b"sh")),
            (b"#!\n/bin/sh", None),
            (b"#!  ", None),
            (b"\x7fELF", None),
            (b"", None),
        ] {
            assert_eq!(named, interpreter(line), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn scripts_are_followed_to_the_last_but_not_for_ever() {
        let folder = std::env::temp_dir().join(format!("chain-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let place = |name: &str, interpreter: &str| {
            let path = folder.join(name).to_string_lossy().into_owned();
            fs::write(&path, format!("#!{interpreter} -x\n")).unwrap();
            path
        };
        let inner = place("inner", "/bin/sh");
        let outer = place("outer", &inner);
        let endless = place("endless", &folder.join("endless").to_string_lossy());

        assert_eq!(vec![inner.clone()], scripts_between(std::process::id(), &outer));
        assert!(scripts_between(std::process::id(), &inner).is_empty());
        assert_eq!(DEEPEST_CHAIN, scripts_between(std::process::id(), &endless).len());
        fs::remove_dir_all(&folder).unwrap();
    }
}
