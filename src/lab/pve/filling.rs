//! Data of others that fill a storage, and go again.
use super::Pve;
use crate::world::World;

/// So many times the data grow until they are there.
const STEPS: u32 = 10;

impl Pve {
    /// Bytes that are used on the host where most are, and all of them; `None` without such a storage.
    pub fn room(&self, storage: &str) -> Option<(u64, u64)> {
        let storage = self.storages.get(storage)?;
        let used = self.nodes.iter().map(|node| storage.used(&node.name)).max().unwrap_or_default();
        Some((used, storage.total))
    }

    fn others_write(&mut self, storage: &str, bytes: i64) {
        if let Some(storage) = self.storages.get_mut(storage) {
            storage.others_write(bytes);
        }
    }
}

/// Somebody's data grow over `over_s` lab seconds until the storage is `percent` full, and are removed `for_s` later.
pub fn fill(world: &mut World, storage: String, percent: u64, over_s: f64, for_s: f64) {
    grow(world, storage, percent, (over_s / f64::from(STEPS), for_s), (STEPS, 0));
}

/// `left`: steps that are to come; `written`: bytes so far.
fn grow(world: &mut World, storage: String, percent: u64, pace: (f64, f64), (left, written): (u32, i64)) {
    let (step_s, for_s) = pace;
    if left == 0 {
        world.after(for_s, move |world| world.pve.others_write(&storage, -written));
        return;
    }
    let Some((used, total)) = world.pve.room(&storage) else { return };
    let missing = (total / 100 * percent).saturating_sub(used);
    let more = i64::try_from(missing / u64::from(left)).unwrap_or_default();
    world.pve.others_write(&storage, more);
    world.after(step_s, move |world| grow(world, storage, percent, pace, (left - 1, written + more)));
}
