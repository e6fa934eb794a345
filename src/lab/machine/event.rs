//! The machine's event stream: a ring of encoded events with ids that sort by time (xid).
use jiff::Timestamp;
use prost::Message;

/// Ring size of Talos.
pub const RING: usize = 1000;

#[derive(Debug, Clone)]
pub struct Event {
    pub id: String,
    pub at: Timestamp,
    pub actor: String,
    pub type_url: String,
    pub value: Vec<u8>,
}

/// Full names of the event messages, as they stand in `type_url`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sequence,
    Phase,
    Task,
    ServiceState,
    Address,
    MachineStatus,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Sequence => "SequenceEvent",
            Kind::Phase => "PhaseEvent",
            Kind::Task => "TaskEvent",
            Kind::ServiceState => "ServiceStateEvent",
            Kind::Address => "AddressEvent",
            Kind::MachineStatus => "MachineStatusEvent",
        }
    }
}

/// Number `count` of the events of machine `vmid`.
pub fn event(at: Timestamp, vmid: u32, count: u64, actor: &str, kind: Kind, message: &impl Message) -> Event {
    Event {
        id: xid(at, vmid, count),
        at,
        actor: actor.into(),
        type_url: format!("talos/runtime/machine.{}", kind.name()),
        value: message.encode_to_vec(),
    }
}

/// Twelve bytes (seconds, machine, counter) in the twenty characters of an xid; later ones sort after earlier ones.
pub fn xid(at: Timestamp, vmid: u32, count: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let seconds = u32::try_from(at.as_second()).unwrap_or(u32::MAX);
    // 96 bits, and four zero bits to fill the twentieth digit.
    let bits = (u128::from(seconds) << 64 | u128::from(vmid) << 32 | u128::from(count & 0xffff_ffff)) << 4;
    (0..20)
        .rev()
        .map(|digit| {
            let at = (bits >> (digit * 5)) as usize & 31;
            DIGITS.get(at).map_or('0', |d| char::from(*d))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_twenty_characters_and_sort_by_time_and_count() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let ids = [xid(at(100), 1001, 7), xid(at(100), 1001, 8), xid(at(101), 1001, 9)];
        assert!(ids.iter().all(|id| id.len() == 20), "{ids:?}");
        assert!(ids.is_sorted(), "{ids:?}");
    }
}
