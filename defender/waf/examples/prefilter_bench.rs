//! How long the prefilter takes for a value of some kinds, and how long asking every operator takes: with `BARTIZAN_CRS` and
//! `BARTIZAN_PAYLOADS` set as for the test `prefilter_crs`, `cargo run --release -p defender-waf --example prefilter_bench`.

#[path = "../tests/corpus/mod.rs"]
mod corpus;

use std::{
    hint::black_box,
    path::PathBuf,
    time::{Duration, Instant},
};

use corpus::Asked;
use defender_waf::prefilter::{BitSet, Prefilter, Question, Scratch};

/// Names and values of requests of browsers.
const ORDINARY: &[&str] = &[
    "id",
    "1",
    "page",
    "2024-11-21",
    "en-US,en;q=0.9",
    "gzip, deflate, br",
    "keep-alive",
    "www.example.com",
    "max-age=0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "document",
    "same-origin",
    "https://www.example.com/shop/item?id=17&color=blue",
    "session",
    "d41d8cd98f00b204e9800998ecf8427e",
    "theme",
    "dark",
    "GA1.2.1234567890.1700000000",
    "John Smith",
    "john.smith@example.com",
    "+49 170 1234567",
    "12 Main Street",
    "Springfield",
    "I would like to order three of them, please.",
    "/shop/item",
    "color",
    "blue",
];

/// Leaves of JSON documents.
const LEAVES: &[&str] = &[
    "name",
    "Product 17",
    "price",
    "19.99",
    "currency",
    "EUR",
    "true",
    "created",
    "2024-11-21T12:00:00Z",
    "tags",
    "new, sale",
    "sku",
    "AB-1234-XY",
    "description",
    "A small box of things for the garden",
    "warehouse",
    "north",
    "quantity",
    "40",
    "null",
];

/// What nine of ten values are made of.
const CLEAN: &[&str] = &[
    "id",
    "name",
    "csrf_token",
    "d41d8cd98f00b204e9800998ecf8427e",
    "1700000000",
    "sort-by",
    "price.asc",
    "page_size",
    "50",
    "en-US",
    "www.example.com",
    "a8098c1a-f86e-11da-bd1a-00112444be1e",
    "checkout",
    "true",
    "v1.2.3",
];

fn main() {
    let asked = corpus::asked(&corpus::rules_folder());
    let questions: Vec<Question> = asked.iter().map(|asked| asked.question.clone()).collect();
    let started = Instant::now();
    let prefilter = Prefilter::new(&questions).unwrap();
    println!("{} questions, built in {:?}, {} KiB", asked.len(), started.elapsed(), prefilter.memory() / 1024);

    let of = |list: &[&str]| list.iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>();
    let payloads: Vec<PathBuf> = std::env::var_os("BARTIZAN_PAYLOADS").iter().flat_map(std::env::split_paths).collect();
    let folders: Vec<_> = payloads.iter().map(PathBuf::as_path).collect();
    let attacks: Vec<_> = corpus::values(&folders, &[".yaml", ".txt"]).into_iter().step_by(37).collect();
    let warm: Vec<_> = (0..64).map(token).collect();
    let cold: Vec<_> = (0..20_000).map(token).collect();
    let kinds = [
        ("clean", of(CLEAN)),
        ("ordinary", of(ORDINARY)),
        ("leaves", of(LEAVES)),
        ("warm tokens", warm),
        ("cold tokens", cold),
        ("attacks", attacks),
    ];
    for (name, values) in kinds {
        report(name, &values, &prefilter, &asked);
    }
}

/// Prints a line for values of a kind.
fn report(name: &str, values: &[Vec<u8>], prefilter: &Prefilter, asked: &[Asked]) {
    if values.is_empty() {
        return;
    }
    let (mut scratch, mut found) = (Scratch::default(), BitSet::default());
    let rounds = 2_000 / values.len() + 1;
    let filtered = fastest(values.len(), || {
        for _ in 0..rounds {
            for value in values {
                prefilter.candidates(black_box(value), &mut scratch, &mut found);
                black_box(&found);
            }
        }
    }) / rounds as u32;
    let mut candidates = 0;
    let mut asking = vec![Vec::new(); asked.len()];
    for value in values {
        prefilter.candidates(value, &mut scratch, &mut found);
        candidates += found.len();
        found.numbers().for_each(|number| asking[number].push(value));
    }
    let sample: Vec<_> = values.iter().take(300).collect();
    let verified = fastest(values.len(), || {
        for (asked, values) in asked.iter().zip(&asking) {
            values.iter().for_each(|value| _ = black_box(asked.operator.holds(value, b"")));
        }
    });
    let brute = fastest(sample.len(), || {
        for asked in asked {
            sample.iter().for_each(|value| _ = black_box(asked.operator.holds(value, b"")));
        }
    });
    let bytes: usize = values.iter().map(Vec::len).sum();
    println!(
        "{name:12} {:4} bytes: filter {:5} ns, {:5.2} candidates asked in {:6} ns; all asked in {:7} ns",
        bytes / values.len(),
        filtered.as_nanos(),
        candidates as f64 / values.len() as f64,
        verified.as_nanos(),
        brute.as_nanos(),
    );
    let mut often: Vec<(usize, &str)> =
        asking.iter().zip(asked).map(|(values, asked)| (values.len(), &asked.name[..])).collect();
    often.sort_unstable_by(|a, b| b.cmp(a));
    for (count, name) in
        often.iter().take(if std::env::args().len() > 1 { 12 } else { 0 }).filter(|(count, _)| *count > 0)
    {
        println!("        {:.3} {name}", *count as f64 / values.len() as f64);
    }
}

/// The time for one value, of the fastest of many runs over so many: the machine may be busy with other things.
fn fastest(values: usize, mut run: impl FnMut()) -> Duration {
    let times = (0..60).map(|_| {
        let started = Instant::now();
        run();
        started.elapsed()
    });
    times.min().unwrap_or_default() / values as u32
}

/// A token of 32 letters and digits, another for each number: xorshift64*.
fn token(number: u64) -> Vec<u8> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..32)
        .map(|_| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            LETTERS[(state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as usize % 62]
        })
        .collect()
}
