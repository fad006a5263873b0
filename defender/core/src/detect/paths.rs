//! Files that let people in, by their paths.
#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "the programs that read these files tell case apart"
)]
use crate::policy::base_name;

/// Keys and settings of SSH: whoever changes them can come back.
pub(super) fn is_ssh_access(path: &str) -> bool {
    let name = base_name(path);
    let own = path.contains("/.ssh/") || path.ends_with("/.ssh");
    let server = path.strip_prefix("/etc/ssh/").is_some_and(|rest| {
        rest.starts_with("sshd_config") || rest.starts_with("authorized_") || rest.ends_with("_key") || rest == "sshrc"
    });
    // Known hosts are written by every client that connects.
    (own && !name.starts_with("known_hosts"))
        || server
        || matches!(name, "authorized_keys" | "authorized_keys2")
        || path.starts_with("/etc/dropbear/")
        || path == "/etc/pam.d/sshd"
}

/// Accounts, groups, their passwords and what they may do as others; with what tools write beside them before a rename.
pub(super) fn is_account(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/etc/") else { return false };
    let file = rest.strip_suffix(['-', '+']).or_else(|| rest.strip_suffix(".edit")).unwrap_or(rest);
    matches!(file, "passwd" | "shadow" | "group" | "gshadow" | "sudoers" | "doas.conf" | "subuid" | "subgid")
        || matches!(file, "sudo.conf" | "security/access.conf" | "security/opasswd" | "master.passwd")
        || ["sudoers.d", "doas.d", "pam.d", "polkit-1/rules.d"].iter().any(|folder| is_or_beneath(rest, folder))
}

/// What the dynamic loader loads into every program.
pub(super) fn is_preload(path: &str) -> bool {
    let files = ["/etc/ld.so.preload", "/etc/ld.so.conf", "/etc/ld.so.cache"];
    files.contains(&path)
        || is_or_beneath(path, "/etc/ld.so.conf.d")
        || (path.starts_with("/etc/ld-musl-") && path.ends_with(".path"))
}

/// What is started by the clock.
pub(super) fn is_cron(path: &str) -> bool {
    let folders = [
        "/etc/cron.d",
        "/etc/cron.hourly",
        "/etc/cron.daily",
        "/etc/cron.weekly",
        "/etc/cron.monthly",
        "/etc/cron.yearly",
        "/var/spool/cron",
        "/var/spool/anacron",
        "/var/spool/at",
        "/etc/crontabs",
        "/etc/periodic",
    ];
    let units = ["/etc/systemd/", "/run/systemd/", "/usr/lib/systemd/", "/lib/systemd/", "/usr/local/lib/systemd/"];
    matches!(
        path,
        "/etc/crontab" | "/etc/anacrontab" | "/etc/cron.allow" | "/etc/cron.deny" | "/etc/at.allow" | "/etc/at.deny"
    ) || folders.iter().any(|folder| is_or_beneath(path, folder))
        || (path.ends_with(".timer") && units.iter().any(|folder| path.starts_with(folder)))
}

/// Certificates and keys, by what they are called, and whatever is put where the machine's trusted ones are.
pub(super) fn is_certificate(path: &str) -> bool {
    let folders = [
        "/etc/ssl/certs",
        "/etc/ssl/private",
        "/etc/pki",
        "/usr/local/share/ca-certificates",
        "/usr/share/ca-certificates",
        "/etc/ca-certificates",
        "/etc/ca-certificates.conf",
    ];
    let name = base_name(path);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let endings =
        ["pem", "crt", "cer", "der", "key", "p12", "pfx", "p7b", "p7c", "csr", "jks", "keystore", "truststore", "p8"];
    endings.iter().any(|known| known.eq_ignore_ascii_case(ending))
        || folders.iter().any(|folder| is_or_beneath(path, folder))
}

fn is_or_beneath(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
