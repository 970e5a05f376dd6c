//! Sequence sets (RFC 9051 9, `sequence-set`), and the sorted ranges that they mean.

/// A set as the client wrote it, within its cap. `None` is `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceSet {
    /// Numbers and ranges in the client's order.
    Ranges(Vec<(Option<u32>, Option<u32>)>),
    /// `$`: the result of the last SEARCH with SAVE (RFC 5182).
    Saved,
}

impl SequenceSet {
    /// The numbers meant when `*` is `last` (0 when the folder is empty: then `*` means nothing). For `$`, nothing:
    /// the session knows.
    pub fn ranges(&self, last: u32) -> Ranges {
        let SequenceSet::Ranges(list) = self else { return Ranges::default() };
        let mut ranges = Ranges::default();
        let mut sorted: Vec<(u32, u32)> = Vec::with_capacity(list.len());
        for (a, b) in list {
            if last == 0 && (a.is_none() || b.is_none()) {
                continue;
            }
            let (a, b) = (a.unwrap_or(last), b.unwrap_or(last));
            // RFC 9051: "2:4 and 4:2 are equivalent".
            sorted.push((a.min(b), a.max(b)));
        }
        sorted.sort_unstable();
        for (a, b) in sorted {
            ranges.push_range(a, b);
        }
        ranges
    }
}

/// Numbers as sorted, disjoint, non-touching inclusive ranges: what `1:*,1:*,…` costs after one sort.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    /// Adds a range that does not begin before the last one began.
    fn push_range(&mut self, first: u32, last: u32) {
        match self.0.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
            _ => self.0.push((first, last)),
        }
    }

    /// From ranges in ascending order of their beginnings.
    pub fn from_ascending_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut joined = Ranges::default();
        for (first, last) in ranges {
            joined.push_range(first, last);
        }
        joined
    }

    /// What is in both.
    pub fn and(&self, other: &Ranges) -> Ranges {
        let (mut both, mut a, mut b) = (Ranges::default(), 0, 0);
        while let (Some(x), Some(y)) = (self.0.get(a), other.0.get(b)) {
            let (first, last) = (x.0.max(y.0), x.1.min(y.1));
            if first <= last {
                both.push_range(first, last);
            }
            if x.1 <= y.1 { a += 1 } else { b += 1 }
        }
        both
    }

    /// Without these numbers, which come in ascending order.
    pub fn without(&self, numbers: impl IntoIterator<Item = u32>) -> Ranges {
        let mut left = Ranges::default();
        let mut numbers = numbers.into_iter().peekable();
        for (mut first, last) in self.iter() {
            let mut whole = true;
            while let Some(number) = numbers.next_if(|number| *number <= last) {
                if number < first {
                    continue;
                }
                if number > first {
                    left.push_range(first, number - 1);
                }
                whole = number < last;
                first = number.saturating_add(1);
            }
            if whole && first <= last {
                left.push_range(first, last);
            }
        }
        left
    }

    /// Adds a number greater than all before it.
    pub fn push(&mut self, number: u32) {
        self.push_range(number, number);
    }

    /// From ascending numbers.
    pub fn from_ascending(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut ranges = Ranges::default();
        for number in numbers {
            ranges.push(number);
        }
        ranges
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().copied()
    }

    /// Whether no number is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The greatest number.
    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|(_, last)| *last)
    }

    /// Binary search.
    pub fn contains(&self, number: u32) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after > 0 && self.0[after - 1].1 >= number
    }
}

/// `2,4:7,9` (RFC 9051 9).
impl std::fmt::Display for Ranges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (first, last)) in self.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}:{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging() {
        let set = SequenceSet::Ranges(vec![
            (Some(5), Some(2)),
            (Some(9), None),
            (Some(3), Some(3)),
            (Some(6), Some(6)),
        ]);
        assert_eq!(set.ranges(12).to_string(), "2:6,9:12");
        assert_eq!(set.ranges(4).to_string(), "2:9");
        assert_eq!(set.ranges(0).to_string(), "2:6");
        let a = Ranges::from_ascending_ranges([(1, 5), (8, 8), (10, 20)]);
        let b = Ranges::from_ascending_ranges([(2, 3), (5, 9), (20, u32::MAX)]);
        assert_eq!(a.and(&b).to_string(), "2:3,5,8,20");
        assert_eq!(b.and(&a).to_string(), "2:3,5,8,20");
        assert_eq!(a.without([0, 1, 3, 4, 7, 8, 10, 15, 20, 21]).to_string(), "2,5,11:14,16:19");
        assert_eq!(b.without([u32::MAX]).to_string(), "2:3,5:9,20:4294967294");
        assert!(set.ranges(12).contains(9) && !set.ranges(12).contains(7));
    }
}
