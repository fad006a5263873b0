//! Which questions which values are asked, and after which transformations: what the survey of a request goes by.
//!
//! A question is an operator behind a chain of transformations. Chains share their beginnings, so they make a tree, of which a
//! value's bytes tell at once in which nodes nothing can change.

use std::{collections::HashMap, sync::Arc};

use super::memory::is_kept;
use crate::{
    operator::Operator,
    prefilter::{BitSet, ByteSet, Prefilter, Question, TransformationTriggers},
    rule::{Link, Selector, Step, Target},
    transformation::Transformation,
    value::{COLLECTIONS, Collection, owners},
};

/// Nodes of the tree: as many as a word of bits has.
const MOST_NODES: usize = 128;

/// What is asked of the values of requests and responses.
#[derive(Debug)]
pub(super) struct Interests {
    pub prefilter: Prefilter,
    /// The tree of transformations; the first node is the value as it came.
    pub nodes: Vec<Node>,
    /// By byte: the nodes on whose way it may be changed.
    triggers: Box<[u128; 256]>,
    relevant: ByteSet,
    /// The nodes on whose way any value is changed.
    always: u128,
    /// The questions that are asked after each transformation (`multiMatch`).
    pub multiple: BitSet,
    /// By owning collection, of values and of names.
    sides: Vec<[Side; 2]>,
}

/// A transformation after those of its parent.
#[derive(Debug)]
pub(super) struct Node {
    pub parent: usize,
    pub transformation: Transformation,
    pub triggers: TransformationTriggers,
    /// What is asked of what comes out.
    pub asks: BitSet,
    /// What is asked of that, or of what further transformations make of it.
    below: BitSet,
}

/// What is asked of the values, or of the names, of a collection.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    /// Of all of them.
    all: BitSet,
    /// Of those of a name.
    named: Vec<(Arc<[u8]>, BitSet)>,
    /// The nodes that any of these need.
    nodes: u128,
}

impl Side {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.named.is_empty()
    }

    /// Adds what is asked of the value of this name.
    pub fn asks_of(&self, name: &[u8], asks: &mut BitSet) {
        asks.add_all(&self.all);
        for (_, more) in self.named.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)) {
            asks.add_all(more);
        }
    }
}

impl Interests {
    /// Numbers all questions, and notes its number in each link. Nothing when they are too many.
    pub(super) fn of(phases: &mut [Vec<Step>; 5]) -> Option<Self> {
        let mut tree = Tree::new();
        let mut known: HashMap<(String, usize, bool), u16> = HashMap::new();
        let (mut questions, mut nodes_of) = (Vec::new(), Vec::new());
        for link in links_of(phases) {
            let Some(key) = key(link) else { continue };
            let Some(node) = tree.node(&link.transformations) else { continue };
            let number = if let Some(number) = known.get(&(key.clone(), node, link.multi_match)) {
                *number
            } else {
                let Some(question) = link.operator.question() else { continue };
                let number = u16::try_from(questions.len()).ok()?;
                questions.push(question);
                nodes_of.push((node, link.multi_match));
                known.insert((key, node, link.multi_match), number);
                number
            };
            link.plan.ask = Some(number);
        }
        let made = Self::new(&questions, &nodes_of, tree, phases);
        if made.is_none() {
            links_of(phases).for_each(|link| link.plan.ask = None);
        }
        made
    }

    fn new(
        questions: &[Question],
        nodes_of: &[(usize, bool)],
        tree: Tree,
        phases: &mut [Vec<Step>; 5],
    ) -> Option<Self> {
        let prefilter = Prefilter::new(questions).ok()?;
        let empty = BitSet::new(questions.len().max(1));
        let (mut nodes, mut multiple) = (tree.nodes, empty.clone());
        for node in &mut nodes {
            node.asks = empty.clone();
            node.below = empty.clone();
        }
        for (number, (node, multi)) in nodes_of.iter().enumerate() {
            nodes[*node].asks.insert(number);
            for node in way(&nodes, *node) {
                nodes[node].below.insert(number);
            }
            if *multi {
                multiple.insert(number);
                for node in way(&nodes, *node) {
                    nodes[node].asks.insert(number);
                }
            }
        }
        let (triggers, relevant, always) = triggers(&nodes);
        let side = Side { all: empty.clone(), ..Side::default() };
        let mut sides = vec![[side.clone(), side]; COLLECTIONS];
        for link in links_of(phases) {
            let Some(ask) = link.plan.ask.map(usize::from) else { continue };
            let needed = way(&nodes, nodes_of[ask].0).fold(0, |all, node| all | 1_u128 << node);
            for target in &link.targets {
                add_target(&mut sides, target, ask, needed, &empty);
            }
        }
        Some(Self { prefilter, nodes, triggers, relevant, always, multiple, sides })
    }

    /// How many questions there are.
    pub(super) fn len(&self) -> usize {
        self.prefilter.len()
    }

    pub(super) fn side(&self, collection: Collection, names: bool) -> &Side {
        &self.sides[collection as usize][usize::from(names)]
    }

    /// The nodes that questions need.
    pub(super) fn needed(&self, wanted: &BitSet) -> u128 {
        let needed = self.nodes.iter().enumerate().filter(|(_, node)| node.below.meets(wanted));
        needed.fold(0, |all, (number, _)| all | 1 << number)
    }

    /// The nodes of a side in which a value of these bytes may be another than it came.
    pub(super) fn active(&self, side: &Side, present: &ByteSet) -> u128 {
        let changing = present.and(self.relevant).bytes();
        changing.fold(self.always, |active, byte| active | self.triggers[usize::from(byte)]) & side.nodes
    }
}

fn links_of(phases: &mut [Vec<Step>; 5]) -> impl Iterator<Item = &mut Link> {
    phases.iter_mut().flatten().flat_map(|step| match step {
        Step::Rule(rule) => rule.links.iter_mut(),
        Step::Marker(_) => [].iter_mut(),
    })
}

/// By what two operators are the same; nothing for a link that may hold for any value, or looks at something else than values
/// of the request and the response.
fn key(link: &Link) -> Option<String> {
    let surveyed = |target: &Target| {
        let changes = is_kept(target.collection) || target.collection == Collection::ReqbodyProcessor;
        !target.counted && !changes
    };
    if link.negated || link.targets.is_empty() || !link.targets.iter().all(surveyed) {
        return None;
    }
    Some(match &link.operator {
        Operator::Matches(pattern) => format!("rx {}", pattern.text()),
        Operator::Words(phrases) => format!("pm {:?}", phrases.words()),
        Operator::OutsideBytes(allowed) => format!("bytes {allowed:?}"),
        Operator::SqlInjection => "sql".to_owned(),
        Operator::CrossSiteScripting => "xss".to_owned(),
        Operator::BadUrlEncoding => "url".to_owned(),
        Operator::BadUtf8 => "utf8".to_owned(),
        _ => return None,
    })
}

fn add_target(sides: &mut [[Side; 2]], target: &Target, ask: usize, needed: u128, empty: &BitSet) {
    let (first, second, names) = owners(target.collection);
    for owner in if first == second { vec![first] } else { vec![first, second] } {
        let side = &mut sides[owner as usize][usize::from(names)];
        side.nodes |= needed;
        match &target.selector {
            Selector::All | Selector::Matching(_) => side.all.insert(ask),
            Selector::Named(name) => {
                let place = side.named.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
                let place = place.unwrap_or_else(|| {
                    side.named.push((Arc::clone(name), empty.clone()));
                    side.named.len() - 1
                });
                side.named[place].1.insert(ask);
            }
        }
    }
}

/// The nodes on the way from the value to a node, both included.
fn way(nodes: &[Node], node: usize) -> impl Iterator<Item = usize> + use<> {
    let mut way = vec![node];
    while let Some(last) = way.last().copied().filter(|last| *last != 0) {
        way.push(nodes[last].parent);
    }
    way.into_iter()
}

/// For each byte the nodes on whose way it may be changed, the bytes that have any, and the nodes that change whatever comes.
fn triggers(nodes: &[Node]) -> (Box<[u128; 256]>, ByteSet, u128) {
    let (mut table, mut relevant, mut always) = (Box::new([0_u128; 256]), ByteSet::EMPTY, 0);
    for number in 1..nodes.len() {
        let bit = 1_u128 << number;
        let chain: Vec<Transformation> =
            way(nodes, number).filter(|node| *node != 0).map(|node| nodes[node].transformation).collect();
        let of_chain = TransformationTriggers::of_chain(&chain);
        if !of_chain.spare(&ByteSet::EMPTY) {
            always |= bit;
        }
        for byte in 0..=255 {
            let one = ByteSet::EMPTY.with(byte, byte);
            if !of_chain.spare(&one) {
                table[usize::from(byte)] |= bit;
                relevant = relevant.or(one);
            }
        }
    }
    // What changes whatever comes makes every byte one that changes: it is in `always`, and need not be looked for.
    for bits in table.iter_mut() {
        *bits &= !always;
    }
    let left = (0..=255_u8).filter(|byte| table[usize::from(*byte)] != 0);
    relevant = left.fold(ByteSet::EMPTY, |set, byte| set.with(byte, byte));
    (table, relevant, always)
}

/// The tree while it is made.
struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    fn new() -> Self {
        // The first node's transformation is never applied.
        let root = Node {
            parent: 0,
            transformation: Transformation::Lowercase,
            triggers: TransformationTriggers::of_chain(&[]),
            asks: BitSet::default(),
            below: BitSet::default(),
        };
        Self { nodes: vec![root] }
    }

    /// The node of a chain; nothing when the tree is full.
    fn node(&mut self, chain: &[Transformation]) -> Option<usize> {
        let mut place = 0;
        for transformation in chain {
            let known = (1..self.nodes.len())
                .find(|node| self.nodes[*node].parent == place && self.nodes[*node].transformation == *transformation);
            place = match known {
                Some(known) => known,
                None if self.nodes.len() == MOST_NODES => return None,
                None => {
                    self.nodes.push(Node {
                        parent: place,
                        transformation: *transformation,
                        triggers: TransformationTriggers::of(*transformation),
                        asks: BitSet::default(),
                        below: BitSet::default(),
                    });
                    self.nodes.len() - 1
                }
            };
        }
        Some(place)
    }
}
