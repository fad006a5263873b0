//! Interpreters that run code from their command line.
//!
//! `sh -c` is not among them: system(3), popen(3), make, cron, and every `CMD` in shell form are `sh -c`, so that it would
//! say nothing. A shell's command line is judged by what it starts, and by the marks of reverse shells.
use super::names::{Interpreter, interpreter};
use crate::ProcessEvent;

/// How an interpreter reads its options.
struct Options {
    /// Letters behind which code stands.
    code: &'static str,
    /// Letters that take the rest of their word, or the next one.
    value: &'static str,
    /// Letters that take the rest of their word, if there is one.
    attached: &'static str,
    /// Letters behind which nothing more is for the interpreter.
    last: &'static str,
    /// Words behind which code stands.
    code_words: &'static [&'static str],
    /// Words that take the next one.
    value_words: &'static [&'static str],
}

/// The interpreter's name, when it is told code.
pub(super) fn mark(process: &ProcessEvent) -> Option<&str> {
    let name = process.named(|name| interpreter(name).is_some())?;
    let language = interpreter(name)?;
    let options = options(language, name)?;
    let arguments = process.own_arguments();
    let own = language == Interpreter::Python && starts_multiprocessing(arguments, &options);
    (!own && takes_code(arguments, &options)).then_some(name)
}

/// From the manuals: python(1), perlrun(1), ruby(1), node(1), php(1), lua(1), `about_Pwsh`. What awk runs always stands on its
/// command line, so that it says nothing.
fn options(language: Interpreter, name: &str) -> Option<Options> {
    let none = Options { code: "", value: "", attached: "", last: "", code_words: &[], value_words: &[] };
    Some(match language {
        Interpreter::Python => {
            Options { code: "c", value: "WXQ", last: "m", value_words: &["--check-hash-based-pycs"], ..none }
        }
        Interpreter::Perl => Options { code: "eE", value: "I", attached: "0CDFilMmVdxt", ..none },
        Interpreter::Ruby => Options {
            code: "e",
            value: "CIEr",
            attached: "0FKTWix",
            value_words: &["--encoding", "--external-encoding", "--internal-encoding"],
            ..none
        },
        Interpreter::Node if name.starts_with("deno") => Options { code_words: &["eval"], ..none },
        Interpreter::Node => Options {
            code: "ep",
            value: "rC",
            code_words: &["--eval", "--print", "-pe"],
            value_words: &["--require", "--import", "--loader", "--experimental-loader", "--conditions", "--env-file"],
            ..none
        },
        Interpreter::Php => Options {
            code: "rBRE",
            value: "cdgtz",
            last: "fFS",
            code_words: &["--run", "--process-begin", "--process-code", "--process-end"],
            value_words: &["--php-ini", "--define", "--docroot"],
            ..none
        },
        Interpreter::Lua => Options { code: "e", value: "l", ..none },
        Interpreter::PowerShell => Options {
            code_words: &["-Command", "-c", "-EncodedCommand", "-e", "-enc", "-ec", "-CommandWithArgs"],
            value_words: &["-ExecutionPolicy", "-WorkingDirectory", "-ConfigurationName", "-OutputFormat"],
            ..none
        },
        Interpreter::Awk => return None,
    })
}

/// Reads words as the interpreter does, until the first that is its script's.
fn takes_code(arguments: &[String], options: &Options) -> bool {
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let head = word.split_once('=').map_or(word, |(head, _)| head);
        if options.code_words.iter().any(|code| code.eq_ignore_ascii_case(head)) {
            return true;
        }
        if options.value_words.contains(&word) {
            words.next();
        } else if let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty() && !rest.starts_with('-')) {
            match meaning(letters, options) {
                Meaning::Code => return true,
                Meaning::Last => return false,
                Meaning::TakesNext => drop(words.next()),
                Meaning::Flags => {}
            }
        } else if !word.starts_with("--") || word == "--" {
            return false;
        }
    }
    false
}

/// True when the first code that Python is told is its own.
fn starts_multiprocessing(arguments: &[String], options: &Options) -> bool {
    let Some(at) = arguments.iter().position(|word| word == "-c") else { return false };
    !takes_code(&arguments[..at], options) && arguments.get(at + 1).is_some_and(|code| is_of_multiprocessing(code))
}

/// True for the code by which Python's `multiprocessing` starts its own processes (`resource_tracker.py`, `spawn.py`,
/// `forkserver.py` of `CPython`): every pool does that. Only literals may stand in the call, so nothing else can be told.
fn is_of_multiprocessing(code: &str) -> bool {
    const CALLS: [&str; 3] = [
        "from multiprocessing.resource_tracker import main;main(",
        "from multiprocessing.spawn import spawn_main; spawn_main(",
        "from multiprocessing.forkserver import main; main(",
    ];
    let given = CALLS.iter().find_map(|call| code.strip_prefix(call)).and_then(|rest| rest.strip_suffix(')'));
    given.is_some_and(only_literals)
}

/// Numbers, strings, lists, dictionaries and names of arguments, without a call or a line break.
fn only_literals(text: &str) -> bool {
    let (mut quote, mut escaped) = (None, false);
    for letter in text.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if letter == '\\' => escaped = true,
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if matches!(letter, '\'' | '"') => quote = Some(letter),
            None if letter.is_ascii_alphanumeric() || "_ ,:=*[]{}-".contains(letter) => {}
            None => return false,
        }
    }
    quote.is_none()
}

enum Meaning {
    Code,
    Last,
    TakesNext,
    Flags,
}

fn meaning(letters: &str, options: &Options) -> Meaning {
    for (at, letter) in letters.char_indices() {
        if options.code.contains(letter) {
            return Meaning::Code;
        }
        if options.last.contains(letter) {
            return Meaning::Last;
        }
        if options.value.contains(letter) {
            let alone = at + letter.len_utf8() == letters.len();
            return if alone { Meaning::TakesNext } else { Meaning::Flags };
        }
        if options.attached.contains(letter) {
            return Meaning::Flags;
        }
    }
    Meaning::Flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiprocessing_is_not_told_code_by_others() {
        let own = [
            "from multiprocessing.resource_tracker import main;main(17)",
            "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7)",
            "from multiprocessing.forkserver import main; main(5, 6, ['__main__'], **{'sys_path': ['/a(b)', \"it's\"]})",
        ];
        let foreign = [
            "import os",
            "from multiprocessing.resource_tracker import main;main(17);import os;os.system('id')",
            "from multiprocessing.resource_tracker import main;main(17);print()",
            "from multiprocessing.spawn import spawn_main; spawn_main(__import__('os').system('id'))",
            "from multiprocessing.spawn import spawn_main; spawn_main('\\');print('')",
            "from multiprocessing.forkserver import main; main('a)",
            "from multiprocessing.forkserver import main; main(1)\nprint()",
        ];

        let options = options(Interpreter::Python, "python3").unwrap_or_else(|| unreachable!());
        let starts = |words: &[&str]| {
            starts_multiprocessing(&words.iter().map(ToString::to_string).collect::<Vec<_>>(), &options)
        };
        assert!(own.iter().all(|code| starts(&["-I", "-W", "error", "-c", code, "--multiprocessing-fork"])));
        assert!(!starts(&["-c", "print()", own[0]]));
        assert!(!starts(&["-Icprint()", "-c", own[0]]));
        assert_eq!(Vec::<&&str>::new(), foreign.iter().filter(|code| is_of_multiprocessing(code)).collect::<Vec<_>>());
    }
}
