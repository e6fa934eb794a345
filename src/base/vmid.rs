//! VMIDs of Proxmox VE, one and a range of them.
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The ids that Proxmox VE gives to guests.
pub const VMIDS: RangeInclusive<u32> = 100..=999_999_999;

/// A Proxmox VE guest id, one of [`VMIDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Vmid(u32);

impl Vmid {
    /// The lowest id that Proxmox VE gives to a guest.
    pub const LOWEST: Vmid = Vmid(100);

    /// For the literals of tests.
    ///
    /// # Panics
    /// When `id` is none of [`VMIDS`].
    pub fn of(id: u32) -> Vmid {
        assert!(VMIDS.contains(&id), "VMID {id}");
        Vmid(id)
    }

    /// # Errors
    /// When `id` is none of [`VMIDS`].
    pub fn new(id: u32) -> Result<Self, String> {
        if VMIDS.contains(&id) {
            Ok(Vmid(id))
        } else {
            Err(format!("VMID {id} is outside {} to {}", VMIDS.start(), VMIDS.end()))
        }
    }
}

impl FromStr for Vmid {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Vmid::new(
            s.parse()
                .map_err(|_| format!("`{s}` is no VMID: write a number from {} to {}", VMIDS.start(), VMIDS.end()))?,
        )
    }
}

impl PartialEq<u32> for Vmid {
    fn eq(&self, other: &u32) -> bool {
        self.0 == *other
    }
}

impl TryFrom<u32> for Vmid {
    type Error = String;
    fn try_from(id: u32) -> Result<Self, String> {
        Vmid::new(id)
    }
}

impl TryFrom<u64> for Vmid {
    type Error = String;
    fn try_from(id: u64) -> Result<Self, String> {
        Vmid::new(u32::try_from(id).unwrap_or(u32::MAX))
    }
}

impl From<Vmid> for u32 {
    fn from(v: Vmid) -> u32 {
        v.0
    }
}

impl fmt::Display for Vmid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// VMIDs from the first to the last, both included: `9500-9509`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VmidRange {
    /// Lowest VMID of the range.
    pub first: Vmid,
    /// Highest VMID of the range, at least `first`.
    pub last: Vmid,
}

impl VmidRange {
    /// Number of VMIDs in the range.
    pub fn count(&self) -> u32 {
        self.last.0.saturating_sub(self.first.0) + 1
    }

    /// True when `vmid` is one of them.
    pub fn contains(&self, vmid: Vmid) -> bool {
        (self.first..=self.last).contains(&vmid)
    }
}

impl FromStr for VmidRange {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let wrong = || format!("`{s}` is no range of VMIDs: write FIRST-LAST, e.g. 9500-9509");
        let (a, b) = s.split_once('-').ok_or_else(wrong)?;
        let vmid = |text: &str| Vmid::new(text.trim().parse().map_err(|_| wrong())?);
        let (first, last) = (vmid(a)?, vmid(b)?);
        if first > last { Err(format!("range `{s}` ends before it starts")) } else { Ok(VmidRange { first, last }) }
    }
}

impl TryFrom<String> for VmidRange {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

impl From<VmidRange> for String {
    fn from(range: VmidRange) -> String {
        range.to_string()
    }
}

impl fmt::Display for VmidRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}
