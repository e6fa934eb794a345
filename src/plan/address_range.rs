//! A range of IPv4 addresses.
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// `10.0.0.210-10.0.0.250`, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    /// Lowest address of the range.
    pub first: Ipv4Addr,
    /// Highest address of the range, at least `first`.
    pub last: Ipv4Addr,
}

impl AddressRange {
    /// The number of addresses in the range.
    pub fn count(&self) -> u64 {
        u64::from(u32::from(self.last)).saturating_sub(u32::from(self.first).into()) + 1
    }

    /// True when at least one address is in both.
    pub fn overlaps(&self, other: &AddressRange) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// True when `a` is one of the addresses.
    pub fn contains(&self, a: Ipv4Addr) -> bool {
        self.first <= a && a <= self.last
    }
}

impl FromStr for AddressRange {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let wrong = || format!("`{s}` is not an address range: write FIRST-LAST, e.g. 10.0.0.210-10.0.0.250");
        let (a, b) = s.split_once('-').unwrap_or((s, s));
        let first: Ipv4Addr = a.trim().parse().map_err(|_| wrong())?;
        let last: Ipv4Addr = b.trim().parse().map_err(|_| wrong())?;
        if first > last { Err(format!("range `{s}` ends before it starts")) } else { Ok(AddressRange { first, last }) }
    }
}

impl TryFrom<String> for AddressRange {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

impl From<AddressRange> for String {
    fn from(r: AddressRange) -> String {
        r.to_string()
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_ends_before_it_starts_is_refused() {
        assert!("10.0.0.9-10.0.0.1".parse::<AddressRange>().unwrap_err().contains("ends before"));
        assert!("10.0.0.1-10.0.0.9".parse::<AddressRange>().unwrap().contains("10.0.0.9".parse().unwrap()));
    }
}
