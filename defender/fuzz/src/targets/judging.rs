//! Judging whole requests by the Core Rule Set.

use defender_waf::{
    Request, Transaction, Verdict,
    body::{Processor, fill_body},
    firewall::{BodyNeed, Client, Ruling, Standing},
    http::{Framing, Head, fill_head, read_head},
    rule::Phase,
    value::Collection,
};

use crate::rules::{FIREWALL, RULES};

/// The prefilter finds what asking rule by rule finds.
pub fn engine(data: &[u8]) {
    let Ok(Some((head, taken))) = read_head(data) else { return };
    let quick = judge(Transaction::new(&RULES), &head, &data[taken..]);
    let naive = judge(Transaction::one_by_one(&RULES), &head, &data[taken..]);
    assert_eq!(quick, naive);
}

fn judge(mut transaction: Transaction<'_>, head: &Head, body: &[u8]) -> (Verdict, Vec<String>) {
    let mut request = Request::new();
    fill_head(&mut request, head);
    request.set(Collection::RemoteAddr, b"192.0.2.1");
    let nothing = Request::new();
    let mut verdict = transaction.judge(Phase::RequestHead, &request, &nothing);
    if verdict == Verdict::Pass {
        let chosen = transaction.body_processor().and_then(Processor::named);
        let forced = transaction.body_forced();
        fill_body(&mut request, body, chosen, RULES.settings.depth_limit, forced);
        verdict = transaction.judge(Phase::RequestBody, &request, &nothing);
    }
    (verdict, transaction.findings().iter().map(|finding| format!("{finding:?}")).collect())
}

/// No request panics, none is over its budget, and what is ruled does not depend on how its body is cut into pieces.
pub fn exchange(mut data: &[u8]) {
    let step = 1 + super::number(&mut data, 200);
    let Ok(Some((head, taken))) = read_head(data) else { return };
    let body = match (head.framing(), &data[taken..]) {
        (Framing::None, _) => &[][..],
        (Framing::Length(length), rest) => rest.get(..length as usize).unwrap_or(rest),
        // As the reader of chunks would give it.
        (Framing::Chunked, rest) => rest,
    };
    assert_eq!(ruled(&head, body, body.len().max(1)), ruled(&head, body, step), "in pieces of {step}");
}

fn ruled(head: &Head, body: &[u8], step: usize) -> (Option<u16>, Vec<String>) {
    let standing = Standing::new([7; 32]);
    let client = Client { peer: [192, 0, 2, 1].into(), port: 80, secure: false };
    let mut exchange = FIREWALL.open(head, client, &standing, 1, "fuzz");
    let mut ruling = exchange.request_head();
    if ruling == Ruling::Pass && exchange.body_need() != BodyNeed::Nothing {
        for piece in body.chunks(step) {
            ruling = exchange.request_body(piece);
            if ruling != Ruling::Pass {
                break;
            }
        }
    }
    if ruling == Ruling::Pass {
        ruling = exchange.request_end();
    }
    let status = if let Ruling::Answer(answer) = ruling { Some(answer.status) } else { None };
    (status, exchange.finish().iter().map(|report| format!("{report:?}")).collect())
}
