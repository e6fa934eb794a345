//! Field ownership: server-side apply, and the entries that other writes leave in `managedFields`.
use super::fields::{Fields, ListType, identity, list_type, member, ownable};
use super::kinds::Kind;
use super::refusal::Refusal;
use serde_json::{Map, Value, json};

/// The writer.
#[derive(Debug, Clone)]
pub struct Writer {
    pub manager: String,
    /// Empty, `status` or `scale`.
    pub subresource: &'static str,
    /// As `managedFields` writes it.
    pub time: String,
}

/// One entry of `managedFields`.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    manager: String,
    operation: String,
    api_version: String,
    subresource: String,
    time: String,
    fields: Fields,
}

impl Entry {
    fn new(writer: &Writer, operation: &str, kind: &Kind) -> Self {
        Entry {
            manager: writer.manager.clone(),
            operation: operation.into(),
            api_version: kind.api_version(),
            subresource: writer.subresource.into(),
            time: writer.time.clone(),
            fields: Fields::default(),
        }
    }

    fn is_of(&self, writer: &Writer, operation: &str) -> bool {
        self.manager == writer.manager && self.operation == operation && self.subresource == writer.subresource
    }

    fn read(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_string();
        Entry {
            manager: text("manager"),
            operation: text("operation"),
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields: Fields::read(&value["fieldsV1"]),
        }
    }

    fn write(&self) -> Value {
        let mut value = json!({
            "manager": self.manager, "operation": self.operation, "apiVersion": self.api_version,
            "fieldsType": "FieldsV1", "fieldsV1": self.fields.write(),
        });
        for (field, text) in [("time", &self.time), ("subresource", &self.subresource)] {
            if !text.is_empty() {
                value[field] = json!(text);
            }
        }
        value
    }

    /// As a conflict names it.
    fn shown(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {:?}", self.subresource);
        }
        if self.operation == "Update" {
            text += &format!(" using {}", self.api_version);
        }
        text
    }
}

fn entries(object: &Value) -> Vec<Entry> {
    object["metadata"]["managedFields"].as_array().into_iter().flatten().map(Entry::read).collect()
}

fn keep(object: &mut Value, entries: &[Entry]) {
    let mut kept: Vec<&Entry> = entries.iter().filter(|e| !e.fields.is_empty()).collect();
    let order = |e: &&Entry| (e.operation.clone(), e.time.clone(), e.manager.clone(), e.subresource.clone());
    kept.sort_by_key(order);
    let kept: Vec<Value> = kept.into_iter().map(Entry::write).collect();
    if let Some(meta) = object["metadata"].as_object_mut() {
        if kept.is_empty() {
            meta.remove("managedFields");
        } else {
            meta.insert("managedFields".into(), json!(kept));
        }
    }
}

/// Notes in `new` what an ordinary write changed: its fields now belong to the writer and to nobody else.
pub fn updated(kind: &Kind, old: Option<&Value>, new: &mut Value, writer: &Writer) {
    // A client that reads and writes back sends the entries along, and may have changed them; a client that sends none
    // keeps them.
    let sent = new["metadata"]["managedFields"].as_array().is_some_and(|sent| !sent.is_empty());
    let mut all = if sent { entries(new) } else { old.map(entries).unwrap_or_default() };
    let (was, is) = (old.map(ownable), ownable(new));
    let changed = Fields::changed(was.as_ref(), &is, !kind.custom);
    let gone = was.map(|was| missing(&Fields::of_object(&was, !kind.custom), &Fields::of_object(&is, !kind.custom)));
    let at = match all.iter().position(|e| e.is_of(writer, "Update")) {
        Some(at) => at,
        None => {
            all.push(Entry::new(writer, "Update", kind));
            all.len() - 1
        }
    };
    for (index, entry) in all.iter_mut().enumerate() {
        if let Some(gone) = &gone {
            entry.fields.remove(gone);
        }
        if index != at {
            entry.fields.remove(&changed);
        } else if !changed.is_empty() {
            entry.fields.add(&changed);
            entry.time.clone_from(&writer.time);
        }
    }
    keep(new, &all);
}

/// The fields in `had` that are not in `has`.
fn missing(had: &Fields, has: &Fields) -> Fields {
    let mut rest = Fields { whole: had.whole && !has.whole && has.members.is_empty(), ..Fields::default() };
    for (name, inner) in &had.members {
        let found = match has.members.get(name) {
            Some(has) => missing(inner, has),
            None => Fields { whole: true, ..Fields::default() },
        };
        if !found.is_empty() {
            rest.members.insert(name.clone(), found);
        }
    }
    rest
}

/// Server-side apply: `applied` is all that the writer wants to say about the object. What it said before and
/// says no more goes away, unless another owns it too; what another owns and it wants otherwise is a conflict,
/// unless it is forced.
pub fn apply(
    kind: &'static Kind,
    live: &Value,
    applied: &Value,
    writer: &Writer,
    force: bool,
) -> Result<Value, Refusal> {
    let built_in = !kind.custom;
    let applied = without_nulls(applied);
    let wanted = Fields::of_object(&applied, built_in);
    let mut all = entries(live);
    let mine = all.iter().position(|e| e.is_of(writer, "Apply"));
    let before = mine.map(|at| all.remove(at));

    let mut conflicts = Vec::new();
    for entry in &mut all {
        let (fields, paths) = entry.fields.disputed(&wanted, live, &applied, built_in);
        conflicts.extend(paths.into_iter().map(|path| (entry.shown(), path)));
        entry.fields.remove(&fields);
    }
    if !force && !conflicts.is_empty() {
        return Err(refused(&conflicts));
    }

    let mut object = live.clone();
    merge("", &mut object, &applied, built_in);
    if let Some(before) = &before {
        let others: Vec<&Fields> = all.iter().map(|e| &e.fields).collect();
        prune("", &mut object, &before.fields, &wanted, &others, built_in);
    }
    let mut now = Entry::new(writer, "Apply", kind);
    now.fields = wanted;
    if let Some(before) = before
        && before.fields == now.fields
        && conflicts.is_empty()
        && ownable(&object) == ownable(live)
    {
        // Nothing changed, so the time does not either: an apply that repeats itself makes no new version.
        now = before;
    }
    all.insert(mine.unwrap_or(all.len()).min(all.len()), now);
    keep(&mut object, &all);
    Ok(object)
}

fn refused(conflicts: &[(String, String)]) -> Refusal {
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|(who, path)| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with {who}"), "field": path})
        })
        .collect();
    let message = match conflicts {
        [(who, path)] => format!("Apply failed with 1 conflict: conflict with {who}: {path}"),
        several => {
            let mut lines = Vec::new();
            let mut managers: Vec<&String> = several.iter().map(|(who, _)| who).collect();
            managers.sort();
            managers.dedup();
            for manager in managers {
                lines.push(format!("conflicts with {manager}:"));
                lines.extend(several.iter().filter(|(who, _)| who == manager).map(|(_, path)| format!("- {path}")));
            }
            format!("Apply failed with {} conflicts: {}", several.len(), lines.join("\n"))
        }
    };
    Refusal::ApplyConflict { message, causes: json!(causes) }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

fn merge(field: &str, into: &mut Value, applied: &Value, built_in: bool) {
    match (into, applied) {
        (Value::Object(into), Value::Object(applied)) => {
            for (name, value) in applied {
                match into.get_mut(name) {
                    Some(slot) => merge(name, slot, value, built_in),
                    None => drop(into.insert(name.clone(), value.clone())),
                }
            }
        }
        (Value::Array(into), Value::Array(applied)) => match list_type(field, applied, built_in) {
            // An empty list does not show its type; the one that it meets does.
            ListType::Atomic if applied.is_empty() && list_type(field, into, built_in) != ListType::Atomic => {}
            ListType::Atomic => into.clone_from(applied),
            ListType::Set => {
                for item in applied {
                    if !into.contains(item) {
                        into.push(item.clone());
                    }
                }
            }
            ListType::Map(keys) => {
                for item in applied {
                    match into.iter_mut().find(|i| identity(i, keys) == identity(item, keys)) {
                        Some(slot) => merge("", slot, item, built_in),
                        None => into.push(item.clone()),
                    }
                }
            }
        },
        (into, applied) => *into = applied.clone(),
    }
}

/// Takes out what was in `before`, is not in `now` and is of no other.
fn prune(field: &str, value: &mut Value, before: &Fields, now: &Fields, others: &[&Fields], built_in: bool) {
    let none = Fields::default();
    for (name, was) in &before.members {
        let inner_others: Vec<&Fields> = others.iter().filter_map(|o| o.members.get(name)).collect();
        let still = now.members.get(name);
        if still.is_none() && inner_others.is_empty() {
            take_out(field, value, name, built_in);
        } else if let Some(slot) = member_mut(field, value, name, built_in) {
            let inner_field = name.strip_prefix("f:").unwrap_or_default();
            prune(inner_field, slot, was, still.unwrap_or(&none), &inner_others, built_in);
        }
    }
}

fn position(field: &str, value: &Value, name: &str, built_in: bool) -> Option<usize> {
    let found = member(field, value, name, built_in)?;
    value.as_array()?.iter().position(|item| std::ptr::eq(item, found))
}

fn member_mut<'a>(field: &str, value: &'a mut Value, name: &str, built_in: bool) -> Option<&'a mut Value> {
    if let Some(plain) = name.strip_prefix("f:") {
        return value.get_mut(plain);
    }
    let at = position(field, value, name, built_in)?;
    value.get_mut(at)
}

fn take_out(field: &str, value: &mut Value, name: &str, built_in: bool) {
    let at = position(field, value, name, built_in);
    match (value, name.strip_prefix("f:"), at) {
        (Value::Object(map), Some(plain), _) => drop(Map::remove(map, plain)),
        (Value::Array(items), None, Some(at)) => drop(items.remove(at)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::KINDS;
    use super::*;

    fn kind(plural: &str) -> &'static Kind {
        KINDS.iter().find(|k| k.plural == plural).unwrap()
    }

    fn writer(manager: &str) -> Writer {
        Writer { manager: manager.into(), subresource: "", time: "2026-01-01T00:00:00Z".into() }
    }

    fn map(data: Value) -> Value {
        json!({"metadata": {"name": "a"}, "data": data})
    }

    #[test]
    fn a_field_that_is_applied_no_more_goes_away_and_those_of_others_stay() {
        let maps = kind("configmaps");
        let live =
            apply(maps, &json!({"metadata": {}}), &map(json!({"x": "1", "y": "2"})), &writer("one"), false).unwrap();
        let live = apply(maps, &live, &map(json!({"z": "3", "y": "2"})), &writer("two"), false).unwrap();
        let live = apply(maps, &live, &map(json!({})), &writer("one"), false).unwrap();
        assert_eq!(live["data"], json!({"y": "2", "z": "3"}));
    }

    #[test]
    fn a_conflict_names_the_manager_and_the_field() {
        let maps = kind("configmaps");
        let live = apply(maps, &json!({"metadata": {}}), &map(json!({"x": "1"})), &writer("one"), false).unwrap();
        let refusal = apply(maps, &live, &map(json!({"x": "2"})), &writer("two"), false).unwrap_err();
        assert_eq!(refusal.to_string(), "Apply failed with 1 conflict: conflict with \"one\": .data.x");
        let forced = apply(maps, &live, &map(json!({"x": "2"})), &writer("two"), true).unwrap();
        assert_eq!(forced["data"]["x"], "2");
        let left = apply(maps, &forced, &map(json!({"x": "3"})), &writer("two"), false).unwrap();
        assert_eq!(left["metadata"]["managedFields"].as_array().unwrap().len(), 1, "one lost all that it owned");
    }

    #[test]
    fn an_apply_takes_a_field_from_an_update_only_by_force() {
        let maps = kind("configmaps");
        let mut live = map(json!({"x": "1"}));
        updated(maps, None, &mut live, &writer("edit"));
        let refusal = apply(maps, &live, &map(json!({"x": "2"})), &writer("one"), false).unwrap_err();
        let expected = "conflict with \"edit\" using v1: .data.x";
        assert!(refusal.to_string().ends_with(expected), "{refusal}");
        let same = apply(maps, &live, &map(json!({"x": "1"})), &writer("one"), false).unwrap();
        assert_eq!(same["metadata"]["managedFields"].as_array().unwrap().len(), 2, "equal values are shared");
    }

    #[test]
    fn an_apply_that_says_nothing_conflicts_with_nobody() {
        let mut live = map(json!({"x": "1"}));
        updated(kind("configmaps"), None, &mut live, &writer("edit"));
        let empty = json!({"metadata": {"name": "a"}});
        assert_eq!(apply(kind("configmaps"), &live, &empty, &writer("one"), false).unwrap()["data"]["x"], "1");
    }

    #[test]
    fn containers_are_merged_by_name() {
        let deployments = kind("deployments");
        let with = |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
        let empty = json!({"metadata": {}});
        let both = with(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]));
        let live = apply(deployments, &empty, &both, &writer("one"), false).unwrap();
        let second = with(json!([{"name": "b", "imagePullPolicy": "Always"}]));
        let live = apply(deployments, &live, &second, &writer("two"), false).unwrap();
        let live = apply(deployments, &live, &with(json!([{"name": "c"}])), &writer("one"), false).unwrap();
        assert_eq!(
            live["spec"]["template"]["spec"]["containers"],
            json!([{"name": "b", "imagePullPolicy": "Always"}, {"name": "c"}])
        );
    }

    #[test]
    fn an_apply_that_repeats_itself_changes_nothing() {
        let maps = kind("configmaps");
        let live = apply(maps, &json!({"metadata": {}}), &map(json!({"x": "1"})), &writer("one"), false).unwrap();
        let later = Writer { time: "2026-01-01T00:01:00Z".into(), ..writer("one") };
        assert_eq!(apply(maps, &live, &map(json!({"x": "1"})), &later, false).unwrap(), live);
    }

    #[test]
    fn an_update_takes_over_what_it_changes_and_forgets_what_it_removes() {
        let maps = kind("configmaps");
        let live =
            apply(maps, &json!({"metadata": {}}), &map(json!({"x": "1", "y": "1"})), &writer("one"), false).unwrap();
        let mut new = live.clone();
        new["data"] = json!({"x": "2"});
        updated(maps, Some(&live), &mut new, &writer("edit"));
        let managed = &new["metadata"]["managedFields"];
        assert_eq!(managed.as_array().unwrap().len(), 1);
        assert_eq!(
            (&managed[0]["manager"], &managed[0]["fieldsV1"]),
            (&json!("edit"), &json!({"f:data": {"f:x": {}}}))
        );
    }
}
