//! Scripts: what is read, what is refused and where, and what holds.
use proptest::prelude::*;

use super::{
    parse::parse,
    tree::{Field, Kind, OPERATIONS, Test, Tree, Value},
};
use crate::{
    CompiledPolicy, ConnectionEvent, Context, CustomEffect, CustomKind, CustomRule, Decision, DefenderPolicy, Event,
    FileEvent, FileOperation, LookupEvent, PolicyError, ProcessEvent, ProcessFacts, Protocol, decide_in,
};

const KINDS: [CustomKind; 3] = [CustomKind::Processes, CustomKind::Filesystem, CustomKind::NetworkOutgoing];

fn values(field: Field) -> BoxedStrategy<Value> {
    let text = || any::<String>().prop_map(Value::Text);
    match field.kind() {
        Kind::Number => any::<u32>().prop_map(Value::Number).boxed(),
        Kind::Digest => "[0-9a-f]{64}".prop_map(Value::Text).boxed(),
        Kind::Word(words) => prop::sample::select(words).prop_map(|word| Value::Text(word.to_owned())).boxed(),
        Kind::Addresses => (any::<[u8; 4]>(), any::<u8>())
            .prop_map(|(address, more)| {
                let [first, last] =
                    [u32::from_be_bytes(address), u32::from_be_bytes(address).saturating_add(more.into())];
                let [first, last] = [first, last].map(|end| std::net::IpAddr::from(end.to_be_bytes()));
                Value::Addresses(format!("{first}-{last}"), first, last)
            })
            .boxed(),
        // Names are kept in lower case and without the root's dot.
        _ if field == Field::Domain => "[a-z*?\"\\\\ ]{0,8}".prop_map(Value::Text).boxed(),
        _ => text().boxed(),
    }
}

fn terms(kind: CustomKind) -> BoxedStrategy<Tree> {
    let fields: Vec<_> = Field::ALL.into_iter().map(|(_, field)| field).filter(|field| field.fits(kind)).collect();
    let term = prop::sample::select(fields).prop_flat_map(|field| {
        let tests: &[fn(Value) -> Test] = match field.kind() {
            Kind::Flag => return Just(Tree::Term(field, Test::Holds)).boxed(),
            Kind::Number => &[Test::Equal, Test::Unequal, Test::Less, Test::Greater, Test::AtMost, Test::AtLeast],
            Kind::List => &[Test::Contains, Test::StartsWith, Test::EndsWith, Test::Matches],
            Kind::Text => {
                &[Test::Equal, Test::Unequal, Test::Contains, Test::StartsWith, Test::EndsWith, Test::Matches]
            }
            _ => &[Test::Equal, Test::Unequal],
        };
        let one = (prop::sample::select(tests), values(field)).prop_map(|(test, value)| test(value));
        let several = prop::collection::vec(values(field), 1..4).prop_map(Test::In);
        prop_oneof![3 => one, 1 => several].prop_map(move |test| Tree::Term(field, test)).boxed()
    });
    term.boxed()
}

fn trees() -> impl Strategy<Value = (CustomKind, Tree)> {
    prop::sample::select(&KINDS).prop_flat_map(|kind| {
        let tree = terms(kind).prop_recursive(5, 24, 4, |part| {
            let parts = prop::collection::vec(part.clone(), 2..4);
            prop_oneof![
                parts.clone().prop_map(Tree::Any),
                parts.prop_map(Tree::All),
                part.prop_map(|part| Tree::Not(Box::new(part))),
            ]
        });
        tree.prop_map(move |tree| (kind, tree))
    })
}

proptest! {
    /// Whatever text comes in, there is a tree or an error that points into the text or right behind it.
    #[test]
    fn reading_never_panics(script in any::<String>(), kind in prop::sample::select(&KINDS)) {
        if let Err(error) = parse(kind, &script) {
            prop_assert!((1..=script.chars().count() + 1).contains(&error.column));
        }
    }

    /// So it is for texts made of the grammar's own pieces.
    #[test]
    fn reading_pieces_never_panics(
        pieces in prop::collection::vec(
            "proc\\.(name|user|args)|net\\.private_subnet|file\\.path|and|or|not|in|[(),=<>]|!=|contains|\"[a-z\\\\\"]{0,3}\"?|[0-9]{1,11}",
            0..14,
        ),
        kind in prop::sample::select(&KINDS),
    ) {
        let script = pieces.join(" ");
        if let Err(error) = parse(kind, &script) {
            prop_assert!((1..=script.chars().count() + 1).contains(&error.column));
        }
    }

    /// A tree that is printed and read again is the same tree.
    #[test]
    fn printing_and_reading_give_the_same_tree((kind, tree) in trees()) {
        prop_assert_eq!(parse(kind, &tree.to_string()), Ok(tree));
    }
}

fn message(kind: CustomKind, script: &str) -> String {
    parse(kind, script).map(|tree| tree.to_string()).unwrap_err().to_string()
}

/// What nests deeper, or is longer, than anybody writes is refused, and does not exhaust the stack.
#[test]
fn depth_and_length_are_bounded() {
    let deep = "(".repeat(10_000);
    let nots = "not ".repeat(4_000);
    let long = format!("proc.name = \"{}\"", "a".repeat(20_000));

    assert!(message(CustomKind::Processes, &deep).ends_with("nested more than 32 deep"));
    assert!(message(CustomKind::Processes, &nots).ends_with("nested more than 32 deep"));
    assert_eq!(message(CustomKind::Processes, &long), "column 1: a script has at most 16384 bytes");
}

/// A chain of alternatives is no nesting: a long list of them is read.
#[test]
fn chains_are_not_nested() {
    let script = vec!["proc.user = 1"; 500].join(" or ");

    assert!(parse(CustomKind::Processes, &script).is_ok());
}

/// A policy with a script that cannot be read is refused, and the error names the rule and the column.
#[test]
fn a_bad_script_refuses_the_policy() {
    let rule = custom(CustomKind::Processes, "proc.name = sh", CustomEffect::Alert);
    let policy = DefenderPolicy { version: 1, custom: vec![rule], ..DefenderPolicy::default() };

    let error = CompiledPolicy::new(policy).unwrap_err();

    assert!(matches!(error, PolicyError::Script { .. }));
    assert_eq!(
        error.to_string(),
        "custom rule `mine`: column 13: `proc.name` is compared with a text in double quotes"
    );
}

fn custom(kind: CustomKind, script: &str, effect: CustomEffect) -> CustomRule {
    CustomRule { name: "mine".into(), kind, script: script.into(), effect }
}

/// True when a rule with the script holds for an event.
fn holds(script: &str, event: &Event, context: Context<'_>) -> bool {
    let kind = match event {
        Event::Process(_) => CustomKind::Processes,
        Event::File(_) => CustomKind::Filesystem,
        _ => CustomKind::NetworkOutgoing,
    };
    let custom = vec![custom(kind, script, CustomEffect::Prevent)];
    let policy = DefenderPolicy { version: 1, rule: Some("shop".into()), custom, ..DefenderPolicy::default() };
    matches!(decide_in(&CompiledPolicy::new(policy).unwrap(), event, context), Decision::Prevent(_))
}

fn start() -> ProcessEvent {
    ProcessEvent {
        path: "/usr/bin/dash".into(),
        invoked: "/bin/sh".into(),
        arguments: ["sh", "-c", "id; ls /tmp"].map(str::to_owned).to_vec(),
        pid: 12,
        parent_pid: 8,
        parent_path: "/usr/sbin/php-fpm8.2".into(),
        user: 33,
        main: false,
        interpreted: false,
        invoked_is_exe: true,
        sha256: Some("ab".repeat(32)),
        facts: ProcessFacts {
            ancestors: ["/usr/sbin/php-fpm8.2", "/sbin/init"].map(str::to_owned).to_vec(),
            ..ProcessFacts::default()
        },
    }
}

/// Every operator on every field of a program start says what the reference says.
#[test]
fn conditions_on_programs_hold() {
    let event = Event::Process(start());
    let digest = "AB".repeat(32);

    for script in [
        "proc.name = \"sh\"",
        "proc.name = \"dash\"",
        "proc.name in (\"bash\", \"dash\")",
        "not proc.name = \"bash\"",
        "proc.name != \"bash\"",
        "proc.name = \"bash\" or proc.user = 33 and proc.pname startswith \"php-fpm\"",
        "(proc.name = \"bash\" or proc.user = 33) and proc.ppath endswith \"8.2\"",
        "proc.path matches \"/usr/*/d?sh\"",
        "proc.user >= 33 and proc.user <= 33 and proc.user > 0 and proc.user < 100 and proc.user != 34",
        "proc.user in (0, 33)",
        "proc.user = \"33\"",
        "NOT proc.user = \"root\" AND proc.cmdline contains \"-c id;\"",
        "proc.args contains \"-c\"",
        "proc.args matches \"*/tmp\"",
        "proc.args in (\"--login\", \"-c\")",
        "proc.ancestors contains \"init\"",
        "proc.ancestors contains \"/sbin/init\"",
        "proc.ancestors startswith \"php\"",
        "proc.ancestors matches \"/usr/sbin/*\"",
        &format!("proc.sha256 = \"{digest}\""),
    ] {
        assert!(holds(script, &event, Context::default()), "{script}");
    }
    for script in [
        "proc.name != \"sh\"",
        "proc.name != \"dash\"",
        "proc.args contains \"id\"",
        "proc.ancestors contains \"/init\"",
        "proc.ancestors matches \"php\"",
        "proc.path = \"/bin/sh\"",
        "proc.user > 33",
        "proc.name = \"sh\" and not proc.user = 33",
    ] {
        assert!(!holds(script, &event, Context::default()), "{script}");
    }
}

/// Conditions on files and connections hold, with what is known of the process behind them.
#[test]
fn conditions_on_files_and_connections_hold() {
    let file = Event::File(FileEvent {
        operation: FileOperation::Create,
        file: "/etc/cron.d/job".into(),
        pid: 12,
        path: "/usr/bin/vim".into(),
        user: 0,
    });
    let connection = Event::Connection(ConnectionEvent {
        protocol: Protocol::Tcp,
        address: "::ffff:10.1.2.3".parse().unwrap(),
        port: 8443,
        pid: 12,
        path: "/usr/bin/curl".into(),
        resolver: false,
        domain: None,
    });
    let names = ["api.example.com".to_owned()];
    let process = start();
    let context = Context { process: Some(&process), names: &names };

    for script in [
        "file.path = \"/etc/cron.d/job\" and file.dir = \"/etc/cron.d\" and file.operation in (\"create\", \"write\")",
        "proc.name = \"vim\" and proc.user = 0 and file.path startswith \"/etc/\"",
    ] {
        assert!(holds(script, &file, Context::default()), "{script}");
    }
    for script in [
        "net.outgoing_port > 8000 and net.outgoing_ip = \"10.0.0.0/8\" and net.private_subnet",
        "net.outgoing_ip in (\"192.0.2.1\", \"10.1.2.0-10.1.2.9\") and not net.outgoing_ip = \"2001:db8::/32\"",
        "net.domain endswith \".Example.com\" and proc.name = \"dash\" and proc.cmdline startswith \"sh -c\"",
    ] {
        assert!(holds(script, &connection, context), "{script}");
    }
    assert!(holds("proc.name = \"curl\"", &connection, Context::default()));
}

/// What is not known neither holds nor fails: a rule does not match by the denial of what nobody knows.
#[test]
fn the_unknown_neither_holds_nor_fails() {
    let connection = Event::Connection(ConnectionEvent {
        protocol: Protocol::Tcp,
        address: [203, 0, 113, 9].into(),
        port: 443,
        pid: 12,
        path: String::new(),
        resolver: false,
        domain: None,
    });

    for script in ["net.domain = \"a\"", "not net.domain = \"a\"", "net.domain != \"a\"", "not proc.user = 0"] {
        assert!(!holds(script, &connection, Context::default()), "{script}");
    }
    // Where the rest decides alone, it does.
    assert!(holds("net.domain = \"a\" or net.outgoing_port = 443", &connection, Context::default()));
    assert!(holds("not (net.domain = \"a\" and net.outgoing_port = 80)", &connection, Context::default()));
}

/// A look-up is judged by the rules that speak of names, and by no others.
#[test]
fn lookups_are_judged_by_rules_on_names() {
    let lookup = Event::Lookup(LookupEvent {
        name: "a.evil.test".into(),
        record_type: "A".into(),
        pid: 12,
        path: "/usr/bin/curl".into(),
    });

    assert!(holds("net.domain endswith \".evil.test\"", &lookup, Context::default()));
    assert!(!holds("proc.name = \"curl\"", &lookup, Context::default()));
    assert!(!holds("net.domain = \"a.evil.test\" and net.outgoing_port = 443", &lookup, Context::default()));
}

/// The words for operations are those that travel.
#[test]
fn operations_are_the_contracts_words() {
    for word in OPERATIONS {
        let operation: FileOperation = serde_json::from_str(&format!("\"{word}\"")).unwrap();
        let event = Event::File(FileEvent { operation, file: "/a".into(), pid: 1, path: "/b".into(), user: 0 });

        assert!(holds(&format!("file.operation = \"{word}\""), &event, Context::default()), "{word}");
    }
}

proptest! {
    /// Of many rules, looked up by what guards them, the first that holds decides, as a walk through them finds it.
    #[test]
    fn the_first_rule_that_holds_decides(
        scripts in prop::collection::vec(
            "(proc\\.name = \"(sh|dash|x)\"|proc\\.name in \\(\"dash\", \"x\"\\)|proc\\.path = \"/usr/bin/(dash|x)\")( and (not )?proc\\.user = 33)?|proc\\.user = (33|0)",
            1..12,
        ),
    ) {
        let event = Event::Process(start());
        let rules = scripts.iter().enumerate().map(|(at, script)| CustomRule {
            name: at.to_string(), ..custom(CustomKind::Processes, script, CustomEffect::Alert)
        });
        let policy = DefenderPolicy { version: 1, rule: Some("shop".into()), custom: rules.collect(), ..DefenderPolicy::default() };
        let naive = scripts.iter().position(|script| holds(script, &event, Context::default()));
        let matched = match decide_in(&CompiledPolicy::new(policy).unwrap(), &event, Context::default()) {
            Decision::Alert(violation) => violation.matched,
            _ => None,
        };
        prop_assert_eq!(matched, naive.map(|at| at.to_string()));
    }
}
