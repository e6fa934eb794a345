//! A bounded history that readers follow from a position of their own.
use std::collections::VecDeque;

#[derive(Debug)]
pub struct Ring<T> {
    limit: usize,
    first: u64,
    items: VecDeque<T>,
}

impl<T> Ring<T> {
    pub fn new(limit: usize) -> Self {
        Ring { limit, first: 0, items: VecDeque::new() }
    }

    pub fn push(&mut self, item: T) {
        if self.items.len() == self.limit {
            self.items.pop_front();
            self.first += 1;
        }
        self.items.push_back(item);
    }

    /// The position after the newest item.
    pub fn end(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    /// The items at `position` and later, oldest first; items that were dropped meanwhile are skipped.
    pub fn from(&self, position: u64) -> impl DoubleEndedIterator<Item = (u64, &T)> {
        let skip = usize::try_from(position.saturating_sub(self.first)).unwrap_or(usize::MAX);
        (self.first..).zip(&self.items).collect::<Vec<_>>().into_iter().skip(skip)
    }

    pub fn last(&self) -> Option<&T> {
        self.items.back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_is_too_slow_misses_only_what_was_dropped() {
        let mut ring = Ring::new(3);
        for n in 0..5 {
            ring.push(n);
        }
        assert_eq!(ring.from(0).map(|(_, n)| *n).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(ring.from(4).collect::<Vec<_>>(), [(4, &4)]);
        assert_eq!(ring.end(), 5);
    }
}
