use proptest::prelude::*;

use super::*;

fn scrubbed(arguments: &[&str]) -> Vec<String> {
    scrub(&arguments.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>())
}

/// Secrets in all the ways that command lines carry them are hidden, and what is around them stays.
#[test]
fn secrets_are_hidden() {
    for (arguments, expected) in [
        (&["x", "--password=hush"][..], &["x", "--password=****"][..]),
        (&["x", "--password", "hush", "y"], &["x", "--password", "****", "y"]),
        (&["x", "--db-password", "hush"], &["x", "--db-password", "****"]),
        (&["x", "--token=hush", "-v"], &["x", "--token=****", "-v"]),
        (&["x", "--api-key", "hush"], &["x", "--api-key", "****"]),
        (&["x", "--client-secret='hu sh' -v"], &["x", "--client-secret='****' -v"]),
        (&["env", "PGPASSWORD=hush", "psql"], &["env", "PGPASSWORD=****", "psql"]),
        (&["env", "AWS_SECRET_ACCESS_KEY=hush"], &["env", "AWS_SECRET_ACCESS_KEY=****"]),
        (&["mysql", "-uroot", "-phush", "shop"], &["mysql", "-uroot", "-p****", "shop"]),
        (&["/usr/bin/mysqldump", "-phush"], &["/usr/bin/mysqldump", "-p****"]),
        (&["sshpass", "-p", "hush", "ssh"], &["sshpass", "-p", "****", "ssh"]),
        (&["sh", "-c", "mysql --password=hush -e x"], &["sh", "-c", "mysql --password=**** -e x"]),
        (&["sh", "-c", "tool --token hush -v"], &["sh", "-c", "tool --token **** -v"]),
        (&["sh", "-c", "TOKEN=hush; run"], &["sh", "-c", "TOKEN=****; run"]),
        (&["curl", "https://u:hush@h.test/p"], &["curl", "https://u:****@h.test/p"]),
        (&["curl", "https://u:hu@sh@h.test/"], &["curl", "https://u:****@h.test/"]),
        (&["curl", "https://h.test/?a=1&token=hush&b=2"], &["curl", "https://h.test/?a=1&token=****&b=2"]),
        (&["curl", "-H", "Authorization: Bearer hush.hush"], &["curl", "-H", "Authorization: ****"]),
        (&["curl", "-H", "X: bearer hush.hush-x"], &["curl", "-H", "X: bearer ****"]),
        (&["curl", "-d", r#"{"password": "hush", "n": 1}"#], &["curl", "-d", r#"{"password": "****", "n": 1}"#]),
        (&["sh", "-c", r#"x "{\"secret\":\"hush\"}""#], &["sh", "-c", r#"x "{\"secret\":\"****\"}""#]),
        (&["aws", "AKIAIOSFODNN7EXAMPLE"], &["aws", "AKIA****"]),
        (&["aws", "key=ASIAIOSFODNN7EXAMPLE,x"], &["aws", "key=ASIA****,x"]),
    ] {
        assert_eq!(scrubbed(arguments), expected, "{arguments:?}");
    }
}

/// What is no secret stays as it is: names of flags, words in prose, ports in URLs, control characters.
#[test]
fn the_rest_stays() {
    for arguments in [
        &["mkdir", "-p", "/tmp/x"][..],
        &["tool", "-password-file"],
        &["echo", "the password is wrong"],
        &["curl", "https://h.test:8443/p@q"],
        &["printf", "a\u{1}\n\tb"],
        &["tool", "--no-token", "--verbose"],
        &["é", "𝄞://"],
        &[],
    ] {
        assert_eq!(scrubbed(arguments), arguments, "{arguments:?}");
    }
}

/// A huge argument vector is reported in 4 KiB, and its cut end shows no part of a secret.
#[test]
fn reports_are_bounded() {
    let hush = "hush".repeat(20_000);
    let many = vec![String::new(); 100_000];

    let one = scrubbed(&["x", &"é".repeat(5_000), &format!("--password={hush}")]);

    assert!(one.iter().map(|argument| argument.len() + 1).sum::<usize>() <= MOST_REPORTED);
    assert!(one[1].ends_with(ELLIPSIS) && !one.concat().contains("hush"));
    assert!(scrub(&many).len() <= MOST_REPORTED);
}

proptest! {
    /// A secret that is planted in any of the known ways never comes out, whatever stands around it.
    #[test]
    fn planted_secrets_never_come_out(
        before in prop::collection::vec("[a-z =:/'@-]{0,12}", 0..3),
        way in 0usize..6,
        lead in "[ ;&]{0,2}",
    ) {
        let hush = "H0sh0H";
        let planted = match way {
            0 => vec![format!("{lead}--password={hush}")],
            1 => vec!["--secret".to_owned(), hush.to_owned()],
            2 => vec![format!("{lead}https://u:{hush}@h.test/")],
            3 => vec![format!("{lead}Authorization: Bearer {hush}{hush}")],
            4 => vec![format!("{lead}MY_TOKEN={hush}")],
            _ => vec![format!("{lead}{{\"apiKey\": \"{hush}\"}}")],
        };
        let arguments: Vec<String> = before.into_iter().chain(planted).collect();
        prop_assert!(!scrub(&arguments).concat().contains(hush), "{:?}", scrub(&arguments));
    }

    /// Any argument vector is scrubbed within the bound.
    #[test]
    fn total_and_bounded(arguments in prop::collection::vec("(?s).{0,30}", 0..5), long in 0usize..3) {
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.repeat(1 + long * 100)).collect();
        let once = scrub(&arguments);
        prop_assert!(once.iter().map(|argument| argument.len() + 1).sum::<usize>() <= MOST_REPORTED);
        prop_assert!(once.len() <= arguments.len() + 1);
    }
}
