//! Definitions of custom resources: with one goes every object of its kind.
use crate::lab::world::World;
use serde_json::Value;

pub fn gone(world: &mut World, definition: &Value) {
    let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    for (key, _) in world.objects(text("/spec/group"), text("/spec/names/plural"), None) {
        world.remove_object(&key);
    }
}
