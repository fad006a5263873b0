//! Ranges that may overlap, ready to tell quickly which of them comes first in its list.
use std::{collections::BTreeSet, net::IpAddr};

/// A number that ranges are made of.
pub(crate) trait Point: Copy + Ord {
    /// The next one; none behind the last.
    fn after(self) -> Option<Self>;
}

impl Point for u16 {
    fn after(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Point for u32 {
    fn after(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Point for u128 {
    fn after(self) -> Option<Self> {
        self.checked_add(1)
    }
}

/// A list of inclusive ranges, cut where one of them starts or ends. A look-up is one binary search.
#[derive(Debug, Clone)]
pub(crate) struct Intervals<T> {
    /// Where a piece starts, in rising order, and the first range of the list that holds it.
    pieces: Vec<(T, Option<u32>)>,
}

impl<T> Default for Intervals<T> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

impl<T: Point> Intervals<T> {
    /// Takes ranges with their place in the list. A range that ends before it starts holds nothing.
    pub(crate) fn new(ranges: impl IntoIterator<Item = (T, T, u32)>) -> Self {
        let mut edges = Vec::new();
        for (start, end, index) in ranges.into_iter().filter(|(start, end, _)| start <= end) {
            edges.push((start, index, true));
            edges.extend(end.after().map(|behind| (behind, index, false)));
        }
        edges.sort_unstable();
        let (mut open, mut pieces) = (BTreeSet::new(), Vec::new());
        for (at, edge) in edges.iter().enumerate() {
            let &(point, index, starts) = edge;
            if starts {
                open.insert(index)
            } else {
                open.remove(&index)
            };
            // What holds from here on is known when all the edges at this point are seen.
            if edges.get(at + 1).is_none_or(|next| next.0 != point) {
                pieces.push((point, open.first().copied()));
            }
        }
        pieces.dedup_by_key(|piece| piece.1);
        Self { pieces }
    }

    /// The place of the first range that holds the point.
    pub(crate) fn first(&self, point: T) -> Option<u32> {
        let behind = self.pieces.partition_point(|piece| piece.0 <= point);
        self.pieces[..behind].last().and_then(|piece| piece.1)
    }
}

/// A list of ranges of addresses, of both families.
#[derive(Debug, Clone, Default)]
pub(crate) struct AddressSet {
    v4: Intervals<u32>,
    v6: Intervals<u128>,
}

impl AddressSet {
    /// Takes inclusive ranges in the order of their list; both ends of one are of the same family.
    pub(crate) fn new(ranges: impl IntoIterator<Item = (IpAddr, IpAddr)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (index, range) in (0..).zip(ranges) {
            match range {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.to_bits(), last.to_bits(), index)),
                (IpAddr::V6(first), IpAddr::V6(last)) => v6.push((first.to_bits(), last.to_bits(), index)),
                _ => {}
            }
        }
        Self { v4: Intervals::new(v4), v6: Intervals::new(v6) }
    }

    /// The place of the first range that holds the address, which is in canonical form.
    pub(crate) fn first(&self, address: IpAddr) -> Option<u32> {
        match address {
            IpAddr::V4(address) => self.v4.first(address.to_bits()),
            IpAddr::V6(address) => self.v6.first(address.to_bits()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A look-up names the first range of the list that holds the point, as a walk through the list does.
        #[test]
        fn names_the_first_range_that_holds_a_point(
            ranges in prop::collection::vec((0u16..40, 0u16..40), 0..12),
            high in prop::collection::vec((65_500u16.., 65_500u16..), 0..3),
            point in prop_oneof![0u16..45, 65_490u16..],
        ) {
            let ranges: Vec<_> = ranges.into_iter().chain(high).collect();
            let naive = ranges.iter().position(|(start, end)| (start..=end).contains(&&point));
            let compiled = Intervals::new((0..).zip(&ranges).map(|(index, &(start, end))| (start, end, index)));
            prop_assert_eq!(compiled.first(point).map(|index| index as usize), naive);
        }
    }
}
