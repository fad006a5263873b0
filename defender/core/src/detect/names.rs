//! Families of programs, by name.
use crate::ProcessEvent;

/// The interpreters whose one-liners are known, whatever their version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interpreter {
    Python,
    Perl,
    Ruby,
    Node,
    Php,
    Lua,
    Awk,
    PowerShell,
}

/// True for a shell.
pub(super) fn is_shell(name: &str) -> bool {
    matches!(
        name,
        "sh" | "bash" | "rbash" | "dash" | "ash" | "zsh" | "ksh" | "ksh93" | "mksh" | "lksh" | "yash" | "posh"
    ) || matches!(name, "csh" | "tcsh" | "fish" | "rc" | "elvish" | "nu")
}

/// Which interpreter a name means: `python3.11` is Python.
pub(super) fn interpreter(name: &str) -> Option<Interpreter> {
    let family = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.' || letter == '-');
    Some(match family {
        "python" | "pypy" | "ipython" => Interpreter::Python,
        "perl" => Interpreter::Perl,
        "ruby" | "jruby" => Interpreter::Ruby,
        "node" | "nodejs" | "bun" | "deno" => Interpreter::Node,
        "php" => Interpreter::Php,
        "lua" | "luajit" | "texlua" => Interpreter::Lua,
        "awk" | "gawk" | "mawk" | "nawk" => Interpreter::Awk,
        "pwsh" | "powershell" => Interpreter::PowerShell,
        _ => return None,
    })
}

/// A shell or an interpreter: it does whatever it is told.
pub(super) fn does_as_told(name: &str) -> bool {
    is_shell(name) || interpreter(name).is_some()
}

/// Programs that connect a terminal with the network.
pub(super) fn is_netcat(name: &str) -> bool {
    matches!(name, "nc" | "ncat" | "netcat" | "nc.traditional" | "nc.openbsd" | "nc6" | "pwncat" | "cryptcat")
}

impl ProcessEvent {
    /// The first of the program's names for which something holds.
    pub(super) fn named(&self, holds: impl Fn(&str) -> bool) -> Option<&str> {
        self.names().into_iter().find(|name| !name.is_empty() && holds(name))
    }
}
