//! Rules about system calls as a program that finds the rule of a number by halving: the kernel runs it for every call that
//! its cache does not answer, so what no rule speaks of is to leave it soon.
use crate::bpf::{self, Action, Instruction};

/// `SOCK_TYPE_MASK` of the kernel: what stands above it are flags.
const SOCKET_TYPE: u32 = 0xf;
/// Conditional jumps of classic BPF reach this far.
const NEAR: usize = u8::MAX as usize;

/// What an argument must be for an action.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Condition {
    Always,
    Pointer(u32),
    AnyBit(u32, u32),
    Equals(u32, u32),
    Both((u32, u32), (u32, u32)),
    /// A socket of this domain and, under a mask, of this type (socket(2) takes flags in the same argument).
    SocketOf(u32, u32),
}

/// What is done about one call: the action of the first case that holds. With none it is allowed.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub number: i64,
    pub cases: Vec<(Condition, Action)>,
}

/// Numbers from `start` to the next segment, and what is done about them.
struct Segment {
    start: u32,
    body: Vec<Instruction>,
}

/// The instructions that decide by the number that was loaded before. Of `blocks` about the same number the first counts;
/// numbers from `absent_from` on do not exist.
pub(crate) fn program(blocks: &[Block], absent_from: Option<(u32, Action)>) -> Vec<Instruction> {
    let segments = segments(blocks, absent_from);
    let mut bodies: Vec<&[Instruction]> = Vec::new();
    let tree = tree(&segments, &mut bodies);
    let mut starts = Vec::new();
    let mut end = tree.len();
    for body in &bodies {
        starts.push(end);
        end += body.len();
    }
    let placed = tree.into_iter().enumerate().map(|(at, branch)| match branch {
        Branch::Plain(instruction) => instruction,
        Branch::Body(index) => bpf::skip((starts[index] - at - 1) as u32),
    });
    placed.chain(bodies.concat()).collect()
}

fn segments(blocks: &[Block], absent_from: Option<(u32, Action)>) -> Vec<Segment> {
    let allowed = || vec![bpf::finish(Action::Allow)];
    let mut sorted: Vec<&Block> = blocks.iter().collect();
    // Stable: of two about one number the first stays the first.
    sorted.sort_by_key(|block| block.number);
    sorted.dedup_by_key(|block| block.number);
    let mut found = vec![Segment { start: 0, body: allowed() }];
    for block in sorted {
        let start = block.number as u32;
        found.push(Segment { start, body: body(block) });
        found.push(Segment { start: start + 1, body: allowed() });
    }
    if let Some((start, action)) = absent_from {
        found.push(Segment { start, body: vec![bpf::finish(action)] });
    }
    // One that begins where the next one does is empty; neighbours that do the same are one.
    let mut merged: Vec<Segment> = Vec::with_capacity(found.len());
    for segment in found {
        merged.pop_if(|last| last.start == segment.start);
        if merged.last().is_none_or(|last| last.body != segment.body) {
            merged.push(segment);
        }
    }
    merged
}

/// An instruction, or a jump to a body whose place is not known yet.
#[derive(Debug, Clone, Copy)]
enum Branch {
    Plain(Instruction),
    Body(usize),
}

fn tree<'a>(segments: &'a [Segment], bodies: &mut Vec<&'a [Instruction]>) -> Vec<Branch> {
    let (lower, upper) = segments.split_at(segments.len() / 2);
    let Some(middle) = upper.first() else { return Vec::new() };
    if lower.is_empty() {
        return vec![leaf(&middle.body, bodies)];
    }
    let (lower, upper) = (tree(lower, bodies), tree(upper, bodies));
    let choice = if lower.len() <= NEAR {
        vec![bpf::if_at_least(middle.start, lower.len() as u8, 0)]
    } else {
        vec![bpf::if_at_least(middle.start, 0, 1), bpf::skip(lower.len() as u32)]
    };
    choice.into_iter().map(Branch::Plain).chain(lower).chain(upper).collect()
}

/// Short ones stand in the tree, long ones behind it, where they are in nobody's way. Equal ones are there once.
fn leaf<'a>(body: &'a [Instruction], bodies: &mut Vec<&'a [Instruction]>) -> Branch {
    if let [only] = body {
        return Branch::Plain(*only);
    }
    let known = bodies.iter().position(|known| *known == body);
    Branch::Body(known.unwrap_or_else(|| {
        bodies.push(body);
        bodies.len() - 1
    }))
}

/// `if case { action } … allow`.
fn body(block: &Block) -> Vec<Instruction> {
    let mut body = Vec::new();
    for &(condition, action) in &block.cases {
        match condition {
            Condition::Always => {}
            Condition::Pointer(argument) => body.extend([
                bpf::load(bpf::argument_low(argument)),
                bpf::if_equal(0, 0, 2),
                bpf::load(bpf::argument_high(argument)),
                bpf::if_equal(0, 1, 0),
            ]),
            Condition::AnyBit(argument, mask) => {
                body.extend([bpf::load(bpf::argument_low(argument)), bpf::if_any_bit(mask, 0, 1)]);
            }
            Condition::Equals(argument, value) => {
                body.extend([bpf::load(bpf::argument_low(argument)), bpf::if_equal(value, 0, 1)]);
            }
            Condition::Both((one, value), (other, second)) => body.extend([
                bpf::load(bpf::argument_low(one)),
                bpf::if_equal(value, 0, 3),
                bpf::load(bpf::argument_low(other)),
                bpf::if_equal(second, 0, 1),
            ]),
            Condition::SocketOf(domain, kind) => body.extend([
                bpf::load(bpf::argument_low(0)),
                bpf::if_equal(domain, 0, 4),
                bpf::load(bpf::argument_low(1)),
                bpf::keep_bits(SOCKET_TYPE),
                bpf::if_equal(kind, 0, 1),
            ]),
        }
        body.push(bpf::finish(action));
        if matches!(condition, Condition::Always) {
            return body;
        }
    }
    body.push(bpf::finish(Action::Allow));
    body
}

#[cfg(test)]
pub(crate) mod description {
    //! What blocks say, without any instructions.
    use super::{Action, Block, Condition};

    impl Condition {
        fn holds(self, arguments: &[u64; 6]) -> bool {
            let low = |argument: u32| arguments[argument as usize] as u32;
            match self {
                Self::Always => true,
                Self::Pointer(argument) => arguments[argument as usize] != 0,
                Self::AnyBit(argument, mask) => low(argument) & mask != 0,
                Self::Equals(argument, value) => low(argument) == value,
                Self::Both((one, value), (other, second)) => low(one) == value && low(other) == second,
                Self::SocketOf(domain, kind) => low(0) == domain && low(1) & 0xf == kind,
            }
        }
    }

    pub fn action(blocks: &[Block], number: u32, arguments: &[u64; 6]) -> Action {
        let block = blocks.iter().find(|block| block.number == i64::from(number));
        let cases = block.map_or(&[][..], |block| &block.cases);
        cases.iter().find(|(condition, _)| condition.holds(arguments)).map_or(Action::Allow, |(_, action)| *action)
    }
}
