//! Crypto miners, by their names and by what every miner must be told: a pool and a wallet.
use super::words::{host_and_port, words};
use crate::ProcessEvent;

/// Names of miners; what follows a name behind a mark such as `-` or `_` is its version or its flavour.
const MINERS: &[&str] = &[
    "xmrig",
    "xmr-stak",
    "xmrigcc",
    "xmrigdaemon",
    "minerd",
    "cpuminer",
    "ethminer",
    "cgminer",
    "bfgminer",
    "nbminer",
    "lolminer",
    "nanominer",
    "ccminer",
    "srbminer",
    "teamredminer",
    "phoenixminer",
    "wildrig",
    "minergate",
    "cryptonight",
    "cpuminer-multi",
    "randomx",
    "gminer",
    "bzminer",
    "rigel-miner",
    "kdevtmpfsi",
    "kinsing",
    "sha256miner",
    "moneroocean",
    "astrobwt",
    "trtl-miner",
    "xmr-miner",
    "verusminer",
    "hellminer",
    "xlarig",
];

/// How pools are spoken to.
const SCHEMES: &[&str] = &["stratum+", "stratum1+", "stratum2+", "daemon+http"];

/// Options that only a miner takes.
const OPTIONS: &[&str] = &[
    "--donate-level",
    "--donate-over-proxy",
    "--nicehash",
    "--randomx-",
    "--cpu-max-threads-hint",
    "--cuda-bfactor",
    "--algo=rx/",
    "--algo=cn/",
    "--algo=cryptonight",
    "--coin=monero",
    "--coin=xmr",
    "--rig-id",
];

/// Pools that many miners are pointed at.
const POOLS: &[&str] = &[
    "2miners.com",
    "c3pool.com",
    "c3pool.org",
    "crypto-pool.fr",
    "dwarfpool.com",
    "ethermine.org",
    "f2pool.com",
    "hashvault.pro",
    "herominers.com",
    "minergate.com",
    "minexmr.com",
    "moneroocean.stream",
    "monerohash.com",
    "nanopool.org",
    "nicehash.com",
    "pool.minexmr.com",
    "supportxmr.com",
    "unmineable.com",
    "xmrpool.eu",
    "zpool.ca",
    "p2pool.io",
    "xmr.pt",
    "kryptex.network",
    "zergpool.com",
];

/// Programs that read and print what others are told.
const READERS: &[&str] =
    &["grep", "egrep", "fgrep", "zgrep", "rg", "ag", "sed", "cat", "echo", "printf", "find", "less"];

/// The name, the option or the pool that gives a miner away.
pub(super) fn mark(process: &ProcessEvent) -> Option<&'static str> {
    let reads = || process.named(|name| READERS.contains(&name)).is_some();
    process.names().into_iter().find_map(known).or_else(|| if reads() { None } else { told(process) })
}

fn known(name: &str) -> Option<&'static str> {
    let first = name.bytes().next()?.to_ascii_lowercase();
    let same = |miner: &&&str| {
        // Most differ in their first letter already.
        let head = miner.as_bytes()[0] == first
            && name.get(..miner.len()).is_some_and(|head| head.eq_ignore_ascii_case(miner));
        head && !name[miner.len()..].starts_with(|next: char| next.is_ascii_alphabetic())
    };
    MINERS.iter().find(same).copied()
}

/// One pass over the words, since there may be many.
fn told(process: &ProcessEvent) -> Option<&'static str> {
    let (mut option, mut pool, mut wallet) = ("", false, false);
    for word in words(process.own_arguments()) {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) if word.starts_with('-') => (name, value),
            _ => (option, word),
        };
        if let Some(mark) = SCHEMES.iter().find(|scheme| value.starts_with(**scheme)) {
            return Some(mark);
        }
        if let Some(mark) =
            word.starts_with("--").then(|| OPTIONS.iter().find(|mark| word.starts_with(**mark))).flatten()
        {
            return Some(mark);
        }
        if let Some((host, _)) = host_and_port(value) {
            // With a port it is reached for mining: the pool's own pages are looked at without one.
            if let Some(mark) = POOLS.iter().find(|known| host.ends_with(**known)) {
                return Some(mark);
            }
            pool |= matches!(name, "-o" | "-P" | "--url" | "--pool" | "--server");
        }
        wallet |= matches!(name, "-u" | "-w" | "--user" | "--wallet" | "--userpass") && is_wallet(value);
        option = word;
    }
    (pool && wallet).then_some("pool and wallet")
}

/// Addresses of Monero (95 or 106 characters of Base58 that start with 4 or 8), of Ethereum's kind (`0x` and 40
/// hexadecimal digits) and of Bitcoin (`bc1`, or 26 to 35 characters of Base58 that start with 1 or 3). A worker's name or
/// a difficulty may follow.
fn is_wallet(text: &str) -> bool {
    let wallet = text.split(['.', '+', '/', ':']).next().unwrap_or_default();
    let base58 = wallet.bytes().all(|byte| byte.is_ascii_alphanumeric() && !b"0OIl".contains(&byte));
    match wallet.len() {
        95 | 106 => base58 && wallet.starts_with(['4', '8']),
        42 if wallet.starts_with("0x") => wallet[2..].bytes().all(|byte| byte.is_ascii_hexdigit()),
        26..=35 => base58 && wallet.starts_with(['1', '3']),
        42 | 62 => wallet.starts_with("bc1"),
        _ => false,
    }
}
