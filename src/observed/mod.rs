//! The observer's view of the target, as values: snapshots for screens, notices for the journal, facts that proofs rest
//! on. Whoever shows or records them needs no client of any system.
mod belonging;
mod board;
mod contact;
mod describe;
mod fact;
mod mending;
mod notice;
mod question;
mod site;
mod snapshot;
mod workload;

pub use belonging::Belonging;
pub use board::{Board, News};
pub use contact::{Backend, Cause, Contact, Contacts};
pub use describe::describe;
pub use fact::Fact;
pub use mending::Mending;
pub use notice::{Noticed, NoticedAt, Notices, TaskOf};
pub use question::{Answer, Asker, EarlierRun, Matter, Object, Origin, Question, Told, Untold};
pub use site::{Host, Machine, Machines, Member, Power, Site, Storage, Task, Vm, VmThere};
pub use snapshot::{Kind, Snapshot, VERSION, View};
pub use workload::{Event, Events, Gap, Gaps, Node, Nodes, Pod, Pods, Release, ReleaseState, Releases, Tail, Tails};
