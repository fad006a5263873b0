//! Which questions which values are asked, and after which transformations: what the survey of a request goes by.
//!
//! A question is an operator behind a chain of transformations. Chains share their beginnings, so they make a tree, of which a
//! value's bytes tell at once in which nodes nothing can change.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use super::memory::is_kept;
use crate::{
    operator::Operator,
    prefilter::{
        BitSet, Builder, ByteSet, LAYERS, MARKS, Masks, Prefilter, Question, Shape, TransformationTriggers,
        stays_within,
    },
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
    /// What may be changed on the way to which nodes, and what changes whatever comes.
    triggers: Triggers,
    /// For each alphabet of the prefilter: the questions that can hold for its values at all, and the nodes whose way leads
    /// from such values to no others.
    layers: Vec<(BitSet, u128)>,
    /// The questions that are asked after each transformation (`multiMatch`).
    pub multiple: BitSet,
    /// By owning collection, of values and of names.
    sides: Vec<[Side; 2]>,
    /// What was asked of values so far; the same is asked of many.
    askings: Mutex<Vec<Arc<Asking>>>,
    /// What was asked of requests so far: seldom more than one.
    tables: Mutex<Vec<Arc<Table>>>,
}

/// So many tables are kept.
const MOST_TABLES: usize = 8;

/// So many askings are kept; a ruleset that names more values makes them anew.
const MOST_ASKINGS: usize = 512;

/// Some questions that are asked of a value, and what follows from that.
#[derive(Debug)]
pub(super) struct Asking {
    pub wanted: BitSet,
    /// By which it is known to the memo; nothing if there are too many.
    pub number: Option<u32>,
    /// As the prefilter knows them.
    pub masks: Masks,
    /// By layer: the nodes that a value of its alphabet needs, and the bytes that change it on the way there.
    needs: [Need; LAYERS],
}

/// Nodes that are needed.
#[derive(Debug, Clone, Copy, Default)]
struct Need {
    nodes: u128,
    /// Whether some of them change whatever comes, or what has a mark.
    unseen: bool,
    bytes: ByteSet,
}

/// The bytes and marks that may be changed on the way to which nodes.
#[derive(Debug, Default)]
struct Triggers {
    /// Sets of bytes that trigger the same nodes.
    bytes: Vec<(ByteSet, u128)>,
    marks: Vec<(u8, u128)>,
    /// The nodes on whose way any value is changed.
    always: u128,
}

/// A transformation after those of its parent.
#[derive(Debug)]
pub(super) struct Node {
    pub parent: usize,
    pub transformation: Transformation,
    pub triggers: TransformationTriggers,
    /// What is asked of what comes out.
    pub asks: BitSet,
}

/// What is asked of the values, or of the names, of a collection.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    /// Of all of them.
    all: BitSet,
    /// Of those of a name.
    named: Vec<(Arc<[u8]>, BitSet)>,
}

impl Side {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.named.is_empty()
    }

    /// Of which name that has questions of its own this one is.
    fn place(&self, name: &[u8]) -> Option<usize> {
        self.named.iter().position(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

/// What is asked of all values of a request, out of some questions.
#[derive(Debug)]
pub(super) struct Table {
    /// The questions.
    pub live: BitSet,
    /// As [`Interests::sides`]; nothing where nothing is asked.
    sides: Vec<[Option<Askings>; 2]>,
}

/// What is asked of the values, or of the names, of a collection.
#[derive(Debug)]
struct Askings {
    /// Of those without questions of their own; nothing if that is nothing.
    usual: Option<Arc<Asking>>,
    /// Of the others, in the order of the side.
    named: Vec<Option<Arc<Asking>>>,
}

impl Table {
    /// What is asked of a value, or of a name, of a collection; nothing if that is nothing.
    pub(super) fn asking(
        &self,
        interests: &Interests,
        (collection, name): (Collection, bool),
        own_name: &[u8],
    ) -> Option<&Asking> {
        let askings = self.sides[collection as usize][usize::from(name)].as_ref()?;
        let asking = match interests.side(collection, name).place(own_name) {
            Some(place) => &askings.named[place],
            None => &askings.usual,
        };
        asking.as_deref()
    }
}

impl Interests {
    /// Numbers all questions of some rules, by their places, and notes its number in each link. Nothing when they are too many.
    pub(super) fn of(phases: &mut [Vec<Step>; 5], asking: &BitSet) -> Option<Self> {
        let mut tree = Tree::new();
        let mut known: HashMap<(String, usize, bool), u16> = HashMap::new();
        let (mut questions, mut nodes_of) = (Builder::default(), Vec::new());
        for link in links_of(phases, asking) {
            let Some(key) = key(link) else { continue };
            let Some(node) = tree.node(&link.transformations) else { continue };
            let number = if let Some(number) = known.get(&(key.clone(), node, link.multi_match)) {
                *number
            } else {
                let Some(question) = question(link) else { continue };
                let number = u16::try_from(questions.len()).ok()?;
                questions.add(question);
                nodes_of.push((node, link.multi_match));
                known.insert((key, node, link.multi_match), number);
                number
            };
            link.plan.ask = Some(number);
        }
        let made = Self::new(questions, &nodes_of, tree, links_of(phases, asking));
        if made.is_none() {
            links_of(phases, asking).for_each(|link| link.plan.ask = None);
        }
        made
    }

    fn new<'l>(
        questions: Builder,
        nodes_of: &[(usize, bool)],
        tree: Tree,
        links: impl Iterator<Item = &'l mut Link>,
    ) -> Option<Self> {
        let prefilter = questions.build().ok()?;
        let empty = BitSet::new(prefilter.len().max(1));
        let (mut nodes, mut multiple) = (tree.nodes, empty.clone());
        for node in &mut nodes {
            node.asks = empty.clone();
        }
        for (number, (node, multi)) in nodes_of.iter().enumerate() {
            nodes[*node].asks.insert(number);
            if *multi {
                multiple.insert(number);
                for node in way(&nodes, *node) {
                    nodes[node].asks.insert(number);
                }
            }
        }
        let (triggers, layers) = (Triggers::of(&nodes), layers(&prefilter, &nodes));
        let side = Side { all: empty.clone(), ..Side::default() };
        let mut sides = vec![[side.clone(), side]; COLLECTIONS];
        for link in links {
            let Some(ask) = link.plan.ask.map(usize::from) else { continue };
            for target in &link.targets {
                add_target(&mut sides, target, ask, &empty);
            }
        }
        Some(Self {
            prefilter,
            nodes,
            triggers,
            layers,
            multiple,
            sides,
            askings: Mutex::default(),
            tables: Mutex::default(),
        })
    }

    /// How many questions there are.
    pub(super) fn len(&self) -> usize {
        self.prefilter.len()
    }

    pub(super) fn side(&self, collection: Collection, names: bool) -> &Side {
        &self.sides[collection as usize][usize::from(names)]
    }

    /// What is asked of all values when nothing but these questions is.
    pub(super) fn table(&self, live: &BitSet) -> Arc<Table> {
        let Ok(mut tables) = self.tables.lock() else { return Arc::new(self.table_of(live)) };
        if let Some(known) = tables.iter().find(|known| known.live == *live) {
            return Arc::clone(known);
        }
        let table = Arc::new(self.table_of(live));
        if tables.len() < MOST_TABLES {
            tables.push(Arc::clone(&table));
        }
        table
    }

    fn table_of(&self, live: &BitSet) -> Table {
        let asking = |asks: &[&BitSet]| {
            let mut wanted = BitSet::new(self.len().max(1));
            for more in asks {
                wanted.add_all(more);
            }
            wanted.keep(live);
            (!wanted.is_empty()).then(|| self.asking(&wanted))
        };
        let askings = |side: &Side| {
            (!side.is_empty()).then(|| Askings {
                usual: asking(&[&side.all]),
                named: side.named.iter().map(|(_, more)| asking(&[&side.all, more])).collect(),
            })
        };
        let sides = self.sides.iter().map(|[values, names]| [askings(values), askings(names)]).collect();
        Table { live: live.clone(), sides }
    }

    /// What follows from asking these questions.
    fn asking(&self, wanted: &BitSet) -> Arc<Asking> {
        let Ok(mut askings) = self.askings.lock() else { return Arc::new(self.asking_of(wanted, None)) };
        if let Some(known) = askings.iter().find(|known| known.wanted == *wanted) {
            return Arc::clone(known);
        }
        let number = (askings.len() < MOST_ASKINGS).then_some(askings.len() as u32);
        let asking = Arc::new(self.asking_of(wanted, number));
        if number.is_some() {
            askings.push(Arc::clone(&asking));
        }
        asking
    }

    fn asking_of(&self, wanted: &BitSet, number: Option<u32>) -> Asking {
        let needs = std::array::from_fn(|layer| {
            self.layers.get(layer).map_or_else(Need::default, |layer| self.need(wanted, layer))
        });
        Asking { wanted: wanted.clone(), number, masks: self.prefilter.masks(wanted), needs }
    }

    /// The nodes that lead to a question that is wanted and can hold for what a value of a layer becomes there.
    fn need(&self, wanted: &BitSet, (possible, closed): &(BitSet, u128)) -> Need {
        let mut nodes = 0;
        for (number, node) in self.nodes.iter().enumerate().skip(1) {
            let met = if closed >> number & 1 == 1 {
                node.asks.meets_both(wanted, possible)
            } else {
                node.asks.meets(wanted)
            };
            if met {
                nodes |= way(&self.nodes, number).fold(0, |all, node| all | 1_u128 << node);
            }
        }
        nodes &= !1;
        let bytes = self.triggers.bytes.iter().filter(|(_, triggered)| triggered & nodes != 0);
        Need {
            nodes,
            unseen: self.triggers.always & nodes != 0
                || self.triggers.marks.iter().any(|(_, marked)| marked & nodes != 0),
            bytes: bytes.fold(ByteSet::EMPTY, |all, (bytes, _)| all.or(*bytes)),
        }
    }

    /// The nodes that are needed for a value of this shape and in which it may be another than it came.
    pub(super) fn active(&self, asking: &Asking, layer: Option<usize>, shape: &Shape) -> u128 {
        let Some(need) = layer.and_then(|layer| asking.needs.get(layer)) else { return 0 };
        let changed = shape.present.meets(&need.bytes);
        if !changed && !need.unseen {
            return 0;
        }
        let mut active = self.triggers.always;
        if changed {
            let met = self.triggers.bytes.iter().filter(|(bytes, _)| bytes.meets(&shape.present));
            active |= met.fold(0, |all, (_, nodes)| all | nodes);
        }
        if shape.is_marked() {
            let met = self.triggers.marks.iter().filter(|(mark, _)| shape.has(*mark));
            active |= met.fold(0, |all, (_, nodes)| all | nodes);
        }
        active & need.nodes
    }
}

fn links_of<'l>(phases: &'l mut [Vec<Step>; 5], asking: &'l BitSet) -> impl Iterator<Item = &'l mut Link> {
    phases.iter_mut().flatten().flat_map(|step| match step {
        Step::Rule(rule) if asking.contains(rule.plan.place) => rule.links.iter_mut(),
        _ => [].iter_mut(),
    })
}

/// By what two operators are the same; nothing for a link whose operator depends on more than the value, or that looks at
/// something else than values of the request and the response.
fn key(link: &Link) -> Option<String> {
    let surveyed = |target: &Target| {
        let changes = is_kept(target.collection) || target.collection == Collection::ReqbodyProcessor;
        !target.counted && !changes
    };
    if link.targets.is_empty() || !link.targets.iter().all(surveyed) {
        return None;
    }
    let key = match &link.operator {
        Operator::Matches(pattern) => format!("rx {}", pattern.text()),
        Operator::Words(phrases) => format!("pm {:?}", phrases.words()),
        Operator::OutsideBytes(allowed) => format!("bytes {allowed:?}"),
        Operator::SqlInjection => "sql".to_owned(),
        Operator::CrossSiteScripting => "xss".to_owned(),
        Operator::BadUrlEncoding => "url".to_owned(),
        Operator::BadUtf8 => "utf8".to_owned(),
        _ => return None,
    };
    let key = match link.plan.chain {
        Some(place) => format!("{place} {key}"),
        None => key,
    };
    Some(if link.negated { format!("!{key}") } else { key })
}

/// What a link's operator asks. A negated one may hold for any value, but what was found out of a value is remembered.
fn question(link: &Link) -> Option<Question> {
    let question = link.operator.question()?;
    Some(if link.negated { Question::Anything } else { question })
}

fn add_target(sides: &mut [[Side; 2]], target: &Target, ask: usize, empty: &BitSet) {
    let (first, second, names) = owners(target.collection);
    for owner in if first == second { vec![first] } else { vec![first, second] } {
        let side = &mut sides[owner as usize][usize::from(names)];
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

/// For each alphabet: which questions can hold, and which ways do not lead out of it.
fn layers(prefilter: &Prefilter, nodes: &[Node]) -> Vec<(BitSet, u128)> {
    let closed = |alphabet: &ByteSet| {
        (1..nodes.len())
            .filter(|node| {
                way(nodes, *node)
                    .filter(|node| *node != 0)
                    .all(|node| stays_within(nodes[node].transformation, alphabet))
            })
            .fold(0, |all, node| all | 1_u128 << node)
    };
    prefilter.possible().map(|(alphabet, possible)| (possible, closed(&alphabet))).collect()
}

impl Triggers {
    fn of(nodes: &[Node]) -> Self {
        let chains: Vec<TransformationTriggers> = (0..nodes.len())
            .map(|number| {
                let chain: Vec<Transformation> =
                    way(nodes, number).filter(|node| *node != 0).map(|node| nodes[node].transformation).collect();
                TransformationTriggers::of_chain(&chain)
            })
            .collect();
        let triggered = |shape: Shape| {
            let nodes = (1..chains.len()).filter(|node| !chains[*node].spare(&shape));
            nodes.fold(0, |all, node| all | 1_u128 << node)
        };
        let always = triggered(Shape::default());
        let mut bytes: Vec<(ByteSet, u128)> = Vec::new();
        for byte in 0..=255 {
            let one = ByteSet::EMPTY.with(byte, byte);
            let nodes = triggered(Shape::single(one, 0)) & !always;
            match bytes.iter_mut().find(|(_, known)| *known == nodes) {
                Some((set, _)) => *set = set.or(one),
                None if nodes != 0 => bytes.push((one, nodes)),
                None => {}
            }
        }
        let marks = MARKS.map(|mark| (mark, triggered(Shape::single(ByteSet::EMPTY, mark)) & !always)).to_vec();
        Self { bytes, marks, always }
    }
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
                    });
                    self.nodes.len() - 1
                }
            };
        }
        Some(place)
    }
}
